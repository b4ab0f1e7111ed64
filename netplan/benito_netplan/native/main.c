/* benito-relay SOCKET: serves requests at SOCKET until `quit` or SIGTERM, or until it has had nothing to carry for
 * IDLE_MS. One at a time: SOCKET.lock is held, with the pid.
 *
 * Ends with 0 when it was told to, 3 where another serves that path, 1 where it cannot serve.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

enum { EVENTS = 64, ALREADY_SERVED = 3, NS_PER_S = 1000000000, IDLE_MS = 10000 };

/* A round that moved several frames is followed by the next so much later, with one sleep for timer and waiting: to set
 * timers and to be woken is the dearest of all, on virtual machines at least, and under load many frames share it then. */
#define ROUND_NS 100000ull
#define QUIET_NS 1000000000ull

static Watch timer_watch = WATCH_TIMER, signal_watch = WATCH_SIGNAL;

/* The lock file of `path`, locked; -1 with errno, EWOULDBLOCK where another process holds it. */
static int take_lock(const char *name) {
    for (;;) {
        struct stat held, there;
        const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return -1;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &held) < 0) {
            const int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        /* One that ends removes its file: then we hold what nobody else will look at. */
        if (stat(name, &there) == 0 && there.st_ino == held.st_ino && there.st_dev == held.st_dev) {
            if (ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", (int)getpid()) > 0) return fd;
            close(fd);
            return -1;
        }
        close(fd);
    }
}

static void raise_limits(void) {
    struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    /* Before others if the system lets us; delays are less exact if not. */
    const struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &first);
}

static bool add(Relay *relay, int fd, uint32_t events, Watch *watch) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return fd >= 0 && epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool prepare(Relay *relay) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    relay->random.state = (now_ns() ^ (uint64_t)getpid() << 32) | 1;
    relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    relay->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    relay->ioctl_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    relay->arena = mmap(NULL, (size_t)BATCH * FRAME_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Edge-triggered: the timer never needs to be read. */
    return relay->epoll_fd >= 0 && relay->ioctl_fd >= 0 && relay->arena != MAP_FAILED &&
           add(relay, relay->timer_fd, EPOLLIN | EPOLLET, &timer_watch) &&
           add(relay, signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC), EPOLLIN, &signal_watch);
}

/* The timer goes off when the first packet is due, or when memory may be given back. One that goes off early does no
 * harm, so it is not taken back. */
static void arm(Relay *relay, uint64_t round) {
    if (relay->heap.count == 0 && !relay->stretched) return;
    const uint64_t due = relay->heap.count > 0 ? relay->heap.at[0]->due_ns : relay->moved_ns + QUIET_NS;
    if (relay->armed_ns != 0 && relay->armed_ns <= due && relay->armed_ns > round) return;
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / NS_PER_S), .tv_nsec = (long)(due % NS_PER_S)}};
    timerfd_settime(relay->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    relay->armed_ns = due;
}

/* After a storm, what the buffers took goes back to the system. */
static void settle(Relay *relay, uint64_t now) {
    if (!relay->stretched || relay->heap.count > 0 || now < relay->moved_ns + QUIET_NS) return;
    madvise(relay->arena, (size_t)BATCH * FRAME_ROOM, MADV_DONTNEED);
    malloc_trim(0);
    relay->stretched = false;
}

static void pause_until(uint64_t until) {
    const struct timespec when = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Devices first: a request may free them. */
static void handle(Relay *relay, const struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) {
        if (*(Watch *)events[i].data.ptr != WATCH_DEVICE) continue;
        device_receive(relay, events[i].data.ptr);
        if (relay->heap.count > 0 && i % 4 == 3) pipe_deliver(relay);
    }
    for (int i = 0; i < count; i++) {
        switch (*(Watch *)events[i].data.ptr) {
        case WATCH_LISTENER: control_accept(relay); break;
        case WATCH_CLIENT: control_ready(relay, events[i].data.ptr, events[i].events); break;
        case WATCH_SIGNAL: relay->quitting = true; break;
        case WATCH_DEVICE:
        case WATCH_TIMER: break;
        }
        if (relay->quitting) return;
    }
}

/* Who started it died before it told it anything, or the devices went with their namespace: nobody will end it then. */
static bool is_forsaken(Relay *relay) {
    device_sweep(relay);
    return relay->pipes == 0 && relay->clients == NULL;
}

static void serve(Relay *relay) {
    uint64_t round = now_ns();
    while (!relay->quitting) {
        struct epoll_event events[EVENTS];
        const uint32_t moved = relay->received > relay->sent ? relay->received : relay->sent;
        const bool busy = moved > 1;
        relay->received = relay->sent = 0;
        if (relay->serving == 0) {
            if (busy) pause_until(round + ROUND_NS);
            else arm(relay, round);
        }
        const bool idle = !busy && relay->serving == 0;
        const int count = epoll_wait(relay->epoll_fd, events, EVENTS, idle ? IDLE_MS : 0);
        if (count < 0 && errno != EINTR) return;
        if (count == 0 && idle && is_forsaken(relay)) return;
        round = now_ns();
        handle(relay, events, count);
        pipe_deliver(relay);
        if (relay->serving > 0) control_work(relay);
        if (relay->received + relay->sent > 0) relay->moved_ns = round;
        else settle(relay, round);
    }
}

static void end(Relay *relay) {
    for (size_t i = 0; i < BUCKETS; i++)
        for (Device *device = relay->bucket[i]; device != NULL; device = device->bucket_next) device->gone = true;
    device_sweep(relay);
    while (relay->heap.count > 0) packet_done(heap_pop(&relay->heap));
    free(relay->heap.at);
    reaper_wait();
}

int main(int count, char **argument) {
    static Relay relay;
    char lock_name[4096];
    prctl(PR_SET_NAME, "benito-relay");
    if (count != 2 || snprintf(lock_name, sizeof lock_name, "%s.lock", argument[1]) >= (int)sizeof lock_name) {
        fprintf(stderr, "usage: relay SOCKET\n");
        return 2;
    }
    const int lock = take_lock(lock_name);
    if (lock < 0) {
        const int error = errno;
        fprintf(stderr, "relay: %s: %s\n", lock_name, strerror(error));
        return error == EWOULDBLOCK ? ALREADY_SERVED : 1;
    }
    raise_limits();
    const bool ready = prepare(&relay) && control_listen(&relay, argument[1]);
    if (ready) serve(&relay);
    else fprintf(stderr, "relay: %s: %s\n", argument[1], strerror(errno));
    unlink(argument[1]);
    end(&relay);
    unlink(lock_name);
    control_farewell(&relay);
    munmap(relay.arena, (size_t)BATCH * FRAME_ROOM);
    return ready ? 0 : 1;
}
