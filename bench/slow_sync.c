/* Preloaded into a service, makes each sync of its files take SYNC_MICROSECONDS longer: a disk that
 * really syncs, where the machine's own does so at once. */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void be_slow(void) {
    struct timespec pause = {0, SYNC_MICROSECONDS * 1000L};
    nanosleep(&pause, NULL);
}

int fsync(int file) {
    be_slow();
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    be_slow();
    return syscall(SYS_fdatasync, file);
}
