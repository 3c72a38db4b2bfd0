/* A library that allocates as early and as late as it can: in a constructor that runs before all others, in the
 * handlers of fork, in a destructor. Linked to a program or preloaded beside the allocator, in either order. */
#include "check.h"
#include <pthread.h>

static char *kept;
static void *around_fork[3];

static void at_fork_prepare(void) { fill(around_fork[0] = malloc(3000), 3000, 1); }
static void at_fork_parent(void) { fill(around_fork[1] = malloc(300), 300, 2); free(around_fork[0]); free(around_fork[1]); }
static void at_fork_child(void) {
    CHECK(differs(around_fork[0], 3000, 1) == 3000, "a block made before the fork changed in the child");
    free(around_fork[0]);
    fill(around_fork[2] = malloc(30000), 30000, 3);
    free(around_fork[2]);
}

__attribute__((constructor(101))) static void early(void) {
    kept = malloc(100);
    CHECK(kept != NULL, "malloc in a constructor");
    fill(kept, 100, 9);
    void *large = calloc(1, 3 << 20);
    CHECK(large != NULL, "calloc in a constructor");
    kept = realloc(kept, 5000);
    CHECK(kept && differs(kept, 100, 9) == 100, "realloc in a constructor");
    free(large);
    CHECK(pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child) == 0, "pthread_atfork");
}

__attribute__((destructor(101))) static void late(void) {
    CHECK(differs(kept, 100, 9) == 100, "a block changed before the destructor");
    free(kept);
    for (int i = 0; i < 1000; i++) free(malloc(i * 10));
}
