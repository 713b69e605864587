#include <stdio.h>

static int add(int a, int b) {
    return a + (b;
}

struct point {
    int x
    int y;
};

/* Prints. */
void show(const char *text) {
    if (text {
        puts(text);
    }
}

int main(void) {
    return add(1, 2);
