/* Claim: a thread that is to be cancelled at the next point where it can be comes back from malloc_stats, and through the end of the
 * process, with all that is reported there: the library's own words are no such point.
 *
 * Ends with 0 only if the thread does that, by exit. */
#include "check.h"
#include <pthread.h>

static void *cancelled(void *unused) {
    (void)unused;
    CHECK(pthread_cancel(pthread_self()) == 0, "pthread_cancel");
    malloc_stats();
    exit(0);
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancelled, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    CHECK(0, "the thread was cancelled in the library%s", "");
}
