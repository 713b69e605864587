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
