/* Claim: malloc works in a .preinit_array function, in constructors of every priority, in main, in atexit handlers
 * and in destructors, and a block may be freed in a later stage than it was made in. */
#include "check.h"
#include <sys/wait.h>

static void *made[4];

static void preinit(void) {
    made[0] = malloc(1000);
    fill(made[0], 1000, 1);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void first(void) {
    CHECK(made[0] && differs(made[0], 1000, 1) == 1000, "the block of .preinit_array changed");
    made[1] = calloc(1000, 100);
}
__attribute__((destructor(101))) static void last(void) {
    CHECK(differs(made[2], 500, 3) == 500, "main's block changed");
    free(made[2]);
    free(realloc(malloc(10), 100000));
}
static void at_exit_handler(void) {
    free(made[1]);
    made[1] = NULL;
    made[3] = malloc(77777);
    CHECK(made[3] != NULL, "malloc in an atexit handler");
    free(made[3]);
}

int main(void) {
    made[0] = realloc(made[0], 100000);
    CHECK(differs(made[0], 1000, 1) == 1000, "realloc of the block of .preinit_array");
    free(made[0]);
    made[2] = malloc(500);
    fill(made[2], 500, 3);
    for (int i = 0; i < 40; i++) CHECK(atexit(at_exit_handler) == 0, "atexit, number %d", i);

    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) _exit(malloc(100) == NULL);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with %#x", status);
    }
    return 0;
}
