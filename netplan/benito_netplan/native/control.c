/* The control socket: a request is text until the client has written all of it, then the reply is text until the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"

enum { MOST_REQUEST = 64 << 20, MOST_CLIENTS = 64, BACKLOG = 64, PIECE = 64 << 10 };

struct Client {
    Watch watch;
    int fd;
    char *text; /* of the request */
    size_t bytes, room;
    enum { READING, SERVING, REPLYING } state;
    Request request;
    size_t sent; /* of the reply */
    Client *next;
};

/* Packets wait no longer than this for requests. */
#define SLICE_NS 300000ull

static Watch listener_watch = WATCH_LISTENER;
static int listener = -1;
static unsigned clients;

bool control_listen(Relay *relay, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(address.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) return false;
    unlink(path); /* of one that was killed: the lock is ours */
    const mode_t before = umask(0177);
    const bool bound = bind(listener, (struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener_watch};
    return bound && listen(listener, BACKLOG) == 0 && epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, listener, &event) == 0;
}

static void leave(Relay *relay, Client *client) {
    Client **link = &relay->clients;
    while (*link != client) link = &(*link)->next;
    *link = client->next;
    close(client->fd);
    if (client->state == SERVING) relay->serving--;
    free(client->request.reply);
    free(client->text);
    free(client);
    clients--;
}

void control_accept(Relay *relay) {
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Client *client = clients < MOST_CLIENTS ? calloc(1, sizeof *client) : NULL;
    if (client == NULL) {
        close(fd);
        return;
    }
    client->watch = WATCH_CLIENT;
    client->fd = fd;
    client->next = relay->clients;
    relay->clients = client;
    clients++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) leave(relay, client);
}

static void reply(Relay *relay, Client *client) {
    const Request *request = &client->request;
    while (client->sent < request->bytes) {
        const ssize_t wrote = send(client->fd, request->reply + client->sent, request->bytes - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && errno == EAGAIN) return; /* epoll says when it has read some */
        if (wrote <= 0) break;
        client->sent += (size_t)wrote;
    }
    leave(relay, client);
}

static void wait_for(Relay *relay, Client *client, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(relay->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
}

static void finish(Relay *relay, Client *client) {
    relay->serving--;
    client->state = REPLYING;
    free(client->text);
    client->text = NULL;
    if (client->request.no_memory) {
        leave(relay, client);
        return;
    }
    wait_for(relay, client, EPOLLOUT);
    if (relay->quitting) relay->quitter = client; /* told when all is done */
    else reply(relay, client);
}

void control_work(Relay *relay) {
    const uint64_t until = now_ns() + SLICE_NS;
    for (Client *client = relay->clients, *next; client != NULL && !relay->quitting; client = next) {
        next = client->next;
        if (client->state != SERVING) continue;
        bool more = true;
        while (more && (relay->quitting || now_ns() < until)) more = request_step(relay, &client->request);
        if (!more) finish(relay, client);
    }
    pipe_retime(relay);
    reaper_go();
}

void control_ready(Relay *relay, Client *client, uint32_t events) {
    if (client->state == SERVING) return;
    if (client->state == REPLYING) {
        if (events & (EPOLLERR | EPOLLHUP)) leave(relay, client);
        else reply(relay, client);
        return;
    }
    if (client->room - client->bytes <= PIECE) {
        const size_t room = client->room * 2 + 2 * PIECE;
        char *text = room <= MOST_REQUEST ? realloc(client->text, room) : NULL;
        if (text == NULL) {
            leave(relay, client);
            return;
        }
        client->text = text;
        client->room = room;
    }
    const ssize_t got = recv(client->fd, client->text + client->bytes, client->room - client->bytes - 1, MSG_DONTWAIT);
    if (got > 0) {
        client->bytes += (size_t)got;
    } else if (got == 0) {
        client->text[client->bytes] = '\0';
        client->request.line = client->text;
        client->state = SERVING;
        relay->serving++;
        wait_for(relay, client, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        leave(relay, client);
    }
}

void control_farewell(Relay *relay) {
    Client *client = relay->quitter;
    /* Its reply is one short line: it goes at once or not at all. */
    if (client != NULL && send(client->fd, client->request.reply, client->request.bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        client->sent = 0;
    while (relay->clients != NULL) leave(relay, relay->clients);
    close(listener);
}
