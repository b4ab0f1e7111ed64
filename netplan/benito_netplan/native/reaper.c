/* Closing a packet socket waits until the whole kernel has passed a quiet point, some 10 ms: hence not in the thread
 * that moves packets, and many at once, which wait for the same quiet point. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay.h"

enum { PER_THREAD = 16, MOST_THREADS = 64, STACK_BYTES = 64 << 10 };

typedef struct {
    size_t count;
    int fd[];
} Work;

static int *waiting;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned threads;

void reaper_close(int fd) {
    if (count == room) {
        const size_t more = room ? room * 2 : 64;
        int *fds = realloc(waiting, more * sizeof *fds);
        if (fds == NULL) {
            close(fd);
            return;
        }
        waiting = fds;
        room = more;
    }
    waiting[count++] = fd;
}

static void *body(void *argument) {
    Work *work = argument;
    for (size_t i = 0; i < work->count; i++) close(work->fd[i]);
    free(work);
    pthread_mutex_lock(&lock);
    threads--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static bool start(Work *work) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    /* Not with the mover's real-time priority: it has nothing to hurry for. */
    struct sched_param normal = {.sched_priority = 0};
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    pthread_attr_setschedparam(&attributes, &normal);
    const bool started = pthread_create(&thread, &attributes, body, work) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

void reaper_go(void) {
    const size_t even = (count + MOST_THREADS - 1) / MOST_THREADS, share = even > PER_THREAD ? even : PER_THREAD;
    for (size_t done = 0; done < count;) {
        const size_t some = count - done < share ? count - done : share;
        Work *work = malloc(sizeof *work + some * sizeof *work->fd);
        if (work != NULL) {
            work->count = some;
            for (size_t i = 0; i < some; i++) work->fd[i] = waiting[done + i];
            pthread_mutex_lock(&lock);
            threads++;
            pthread_mutex_unlock(&lock);
        }
        if (work == NULL) {
            for (size_t i = 0; i < some; i++) close(waiting[done + i]);
        } else if (!start(work)) {
            body(work);
        }
        done += some;
    }
    count = 0;
}

void reaper_wait(void) {
    reaper_go();
    pthread_mutex_lock(&lock);
    while (threads > 0) pthread_cond_wait(&ended, &lock);
    pthread_mutex_unlock(&lock);
    free(waiting);
    waiting = NULL;
    room = 0;
}
