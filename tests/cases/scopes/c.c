/* file */
#include <stdio.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))

struct point { int x; };
typedef struct { int y; } other;
enum color { RED };
int declared(int a);

/* Copies.
 * Twice. */
static char **copy(const char *from, char **to)
{
    return to;
}

int every(int a, const char *b, int c[], int (*callback)(int inner), struct point *d, ...) { return 0; }
int unnamed(int, char *);
int nothing(void) { return 0; }
