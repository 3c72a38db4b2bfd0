/* Does what ends a program by SIGSEGV. */
#include "check.h"

int main(void) {
    alarm(20);
    free(malloc(100));
    char *volatile nothing = NULL;
    return *(volatile char *)nothing;
}
