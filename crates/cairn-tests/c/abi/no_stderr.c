/* Claim: started without stderr, a program may open a file that gets its number, and nothing but what it writes is in that. The
 * argument is the file's path. */
#include "check.h"
#include <fcntl.h>

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: no_stderr FILE");
    for (int i = 0; i < 1000; i++) free(malloc(i));
    int file = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK(file == STDERR_FILENO, "the file has number %d: stderr was there", file);
    CHECK(write(file, "mine", 4) == 4, "write: %d", errno);
    usleep(20000);
    return 0;
}
