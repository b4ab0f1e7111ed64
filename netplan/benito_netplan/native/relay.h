/* Emulates delay, loss, rate and queues between pairs of devices, for kernels that cannot: the types of this folder.
 *
 * A pipe takes what a device receives, keeps each frame as long as its settings say, and sends it out of another device.
 * One thread moves the frames; closing sockets, which the kernel makes slow, is done beside it.
 */
#ifndef BENITO_RELAY_H
#define BENITO_RELAY_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "queue.h"

enum {
    BATCH = 64,                 /* frames per system call */
    FRAME_ROOM = 68 << 10,      /* the largest frame that the kernel hands over, its headers and a tag */
    OFFLOAD_BYTES = sizeof(Offload),
    MAX_BYTES_IN_FLIGHT = 64 << 20, /* of memory, per pipe; also in relay.py */
    LATE_NS = 1000000,
};

typedef struct Pipe Pipe;
typedef struct Device Device;
typedef struct Packet Packet;

struct Packet {
    uint64_t due_ns, depart_ns; /* depart: when it has left the queue and enters the delay line */
    uint64_t turn;              /* of two that are due at once, the first that came goes first */
    Pipe *pipe;
    Packet *next;               /* in what a device is to send */
    uint32_t bytes, frames;     /* of the frame; frames: how many go over the wire for it */
    uint8_t data[];             /* the virtio header and then the frame */
};

static inline uint8_t *packet_frame(Packet *packet) { return packet->data + OFFLOAD_BYTES; }
static inline uint64_t packet_memory(uint32_t frame_bytes) { return sizeof(Packet) + OFFLOAD_BYTES + frame_bytes; }

typedef struct {
    QueueSettings queue;
    uint32_t delay_us, jitter_us;
    uint32_t loss_u32, reorder_u32, duplicate_u32, corrupt_u32; /* shares of 2^32 */
} PipeSettings;

typedef struct {
    uint64_t received;     /* frames from SOURCE, as they go over a wire */
    uint64_t sent;         /* frames out of TARGET, duplicates included */
    uint64_t lost;         /* on purpose */
    uint64_t overflowed;   /* dropped by the queue */
    uint64_t crowded_out;  /* no memory left for the pipe */
    uint64_t unsent;       /* the kernel would not take them */
    uint64_t socket_drops; /* the relay did not read in time */
    uint64_t late;         /* sent more than LATE_NS after they were due */
    uint64_t latest_us;    /* the most that a frame was sent after it was due */
} Counters;

struct Pipe {
    Device *source, *target;
    PipeSettings set;
    Queue queue;
    Counters count;
    uint64_t last_arrival_ns;
    uint64_t bytes_in_flight, packets_in_flight;
    uint64_t old_rate; /* while a request is carried out: what the packets under way were timed with */
    bool dropped;      /* freed with its last packet */
    bool retimed;
};

typedef enum { WATCH_DEVICE, WATCH_CLIENT, WATCH_LISTENER, WATCH_TIMER, WATCH_SIGNAL } Watch;

struct Device {
    Watch watch; /* the first field of everything that epoll tells of */
    int fd;
    int ifindex;
    uint32_t senders; /* pipes whose TARGET this is */
    bool listening, gone;
    char name[IFNAMSIZ];
    Pipe *pipe; /* whose SOURCE this is, or NULL */
    Packet *out_first, *out_last;
    bool out_listed;
    Device *out_next;
    Device *bucket_next;
};

/* heap.c: packets by due time */
typedef struct {
    Packet **at;
    size_t count, room;
} Heap;

bool heap_push(Heap *heap, Packet *packet);
Packet *heap_pop(Heap *heap);
/* After due times were changed in place. */
void heap_order(Heap *heap);

enum { BUCKETS = 4096 };

typedef struct Client Client;

typedef struct {
    char *line; /* the next of the text, which loses its line ends; NULL behind the last */
    size_t line_number;
    bool failed;
    bool showing, calming; /* a `show` or `calm` has come as far as `bucket` */
    uint32_t bucket;
    char *reply; /* malloc'ed */
    size_t bytes, room;
    bool no_memory; /* the reply is not whole */
} Request;

typedef struct {
    int epoll_fd, timer_fd, ioctl_fd;
    uint64_t armed_ns; /* what the timer is set to; 0: to nothing */
    uint64_t turn;
    uint32_t received, sent; /* messages of this round */
    uint64_t moved_ns;       /* the last round that had any */
    bool stretched;          /* buffers hold memory that is not needed when all is quiet */
    Random random;
    Heap heap;
    Device *bucket[BUCKETS];
    Device *out; /* devices with something to send */
    Client *clients;
    uint32_t serving; /* clients whose requests are being carried out */
    uint32_t pipes;
    bool retime;   /* a request changed a rate */
    bool quitting;
    Client *quitter;
    int64_t clock_offset_ns; /* of the wall clock, at the last look */
    uint8_t *arena;          /* BATCH buffers of FRAME_ROOM */
} Relay;

uint64_t now_ns(void);

/* device.c. Calls that return text say what is wrong, or NULL. */
Device *device_find(Relay *relay, const char *name);
const char *device_get(Relay *relay, const char *name, Device **device);
const char *device_listen(Relay *relay, Device *device);
/* Closes a device that no pipe uses. */
void device_put(Relay *relay, Device *device);
/* Whether the kernel has it no longer; it is marked then. */
bool device_is_gone(Device *device);
/* The pipes of devices that are marked as gone go with them. */
void device_sweep(Relay *relay);
void device_receive(Relay *relay, Device *device);
void device_queue_out(Relay *relay, Packet *packet);
void device_send_all(Relay *relay);
uint64_t device_drops(Device *device);

/* reaper.c: closes sockets in the background; at the end, waits for it. */
void reaper_close(int fd);
void reaper_go(void);
void reaper_wait(void);

/* pipe.c */
const char *pipe_set(Relay *relay, const char *source, const char *target, const PipeSettings *settings);
/* What was counted until now no longer is. */
void pipe_calm(Pipe *pipe);
/* Nothing where there is none: what is asked for is so. */
void pipe_drop(Relay *relay, const char *source);
void pipe_remove(Relay *relay, Pipe *pipe);
/* A frame from the pipe's SOURCE; the room behind it is free for a tag. */
void pipe_accept(Relay *relay, Pipe *pipe, uint64_t arrival_ns, const Offload *offload, const uint8_t *frame, uint32_t bytes);
/* Sends what is due. */
void pipe_deliver(Relay *relay);
/* The packet is no longer in flight; it may be its pipe's last. */
void packet_done(Packet *packet);
/* Packets under way follow rates that a request changed. */
void pipe_retime(Relay *relay);

/* control.c */
bool control_listen(Relay *relay, const char *path);
void control_accept(Relay *relay);
void control_ready(Relay *relay, Client *client, uint32_t events);
/* The request that asked for the end is told that it has come. */
void control_farewell(Relay *relay);

/* The requests that wait are carried out for a while. */
void control_work(Relay *relay);

/* request.c: carries a request out, a line or a part of one at a time; false when all is done and the reply is whole. */
bool request_step(Relay *relay, Request *request);

#endif
