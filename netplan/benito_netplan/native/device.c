/* Devices: a packet socket each, which both hears the device and sends out of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

enum {
    SOCKET_BYTES = 16 << 20,
    CONTROL_BYTES = CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct tpacket_auxdata)),
    ETHER_BYTES = 14,
    PAGE_BYTES = 4096,
};

#define OLDEST_STAMP_NS 1000000000ull
#define CLOCK_STEP_NS 1000000ll

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static Device **bucket_of(Relay *relay, const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (uint8_t)*name) * 16777619u;
    return &relay->bucket[(hash ^ hash >> 16) % BUCKETS];
}

Device *device_find(Relay *relay, const char *name) {
    Device *device = *bucket_of(relay, name);
    while (device != NULL && strcmp(device->name, name) != 0) device = device->bucket_next;
    return device;
}

static int open_socket(int ifindex, bool listening) {
    const int one = 1, bytes = SOCKET_BYTES;
    /* Without a protocol it hears nothing before all is set. */
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = ifindex, .sll_protocol = htons(listening ? ETH_P_ALL : 0)};
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return fd;
}

static bool watch(Relay *relay, Device *device, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};
    return epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void forget_socket(Relay *relay, Device *device) {
    if (device->fd < 0) return;
    epoll_ctl(relay->epoll_fd, EPOLL_CTL_DEL, device->fd, NULL);
    reaper_close(device->fd);
    device->fd = -1;
}

/* Its socket anew: a socket that hears cannot be made deaf again. */
static const char *open_device(Relay *relay, Device *device, bool listening) {
    const int fd = open_socket(device->ifindex, listening);
    if (fd < 0) return strerror(errno);
    if (!watch(relay, device, fd)) {
        const char *wrong = strerror(errno);
        reaper_close(fd);
        return wrong;
    }
    forget_socket(relay, device);
    device->fd = fd;
    device->listening = listening;
    return NULL;
}

static void remove_device(Relay *relay, Device *device) {
    Device **link = bucket_of(relay, device->name);
    while (*link != device) link = &(*link)->bucket_next;
    *link = device->bucket_next;
    forget_socket(relay, device);
    free(device);
}

const char *device_get(Relay *relay, const char *name, Device **device) {
    struct ifreq request = {0};
    if (strlen(name) >= IFNAMSIZ) return "a device name is too long";
    strcpy(request.ifr_name, name);
    if (ioctl(relay->ioctl_fd, SIOCGIFINDEX, &request) < 0) return "no such device";
    Device *found = device_find(relay, name);
    if (found != NULL && found->ifindex == request.ifr_ifindex && !found->gone) {
        *device = found;
        return NULL;
    }
    if (found != NULL) { /* another device has its name now */
        found->gone = true;
        device_sweep(relay);
    }
    found = calloc(1, sizeof *found);
    if (found == NULL) return "no memory";
    found->watch = WATCH_DEVICE;
    found->fd = -1;
    found->ifindex = request.ifr_ifindex;
    strcpy(found->name, name);
    const char *wrong = open_device(relay, found, false);
    if (wrong != NULL) {
        free(found);
        return wrong;
    }
    Device **bucket = bucket_of(relay, name);
    found->bucket_next = *bucket;
    *bucket = found;
    *device = found;
    return NULL;
}

const char *device_listen(Relay *relay, Device *device) {
    if (device->listening) return NULL;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = device->ifindex, .sll_protocol = htons(ETH_P_ALL)};
    if (bind(device->fd, (struct sockaddr *)&address, sizeof address) < 0) return strerror(errno);
    device->listening = true;
    (void)relay;
    return NULL;
}

void device_put(Relay *relay, Device *device) {
    if (device->pipe != NULL) return;
    if (device->senders == 0) {
        remove_device(relay, device);
    } else if (device->listening && !device->gone && open_device(relay, device, false) != NULL) {
        device->gone = true; /* its pipes leave `show`, and are set again */
    }
}

/* A socket whose device was removed is bound to none. */
bool device_is_gone(Device *device) {
    struct sockaddr_ll address = {0};
    socklen_t bytes = sizeof address;
    if (!device->gone)
        device->gone = device->fd < 0 || getsockname(device->fd, (struct sockaddr *)&address, &bytes) < 0 || address.sll_ifindex != device->ifindex;
    return device->gone;
}

void device_sweep(Relay *relay) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Device *device = relay->bucket[i]; device != NULL;) {
            Pipe *pipe = device->pipe;
            if (pipe != NULL && (device->gone || pipe->target->gone)) {
                pipe_remove(relay, pipe); /* may free devices of this bucket, too */
                device = relay->bucket[i];
            } else {
                device = device->bucket_next;
            }
        }
    }
}

uint64_t device_drops(Device *device) {
    struct tpacket_stats stats = {0};
    socklen_t bytes = sizeof stats;
    if (getsockopt(device->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) < 0) return 0;
    return stats.tp_drops;
}

/* When the kernel took the frame, by the monotonic clock; `offset` 0: the wall clock has just been set. */
static uint64_t arrival_of(struct msghdr *message, int64_t offset, uint64_t now, struct tpacket_auxdata *aux) {
    uint64_t arrival = now;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each != NULL; each = CMSG_NXTHDR(message, each)) {
        if (each->cmsg_level == SOL_PACKET && each->cmsg_type == PACKET_AUXDATA) {
            memcpy(aux, CMSG_DATA(each), sizeof *aux);
        } else if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS && offset != 0) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(each), sizeof time);
            const int64_t stamp = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec - offset;
            if (stamp > 0 && (uint64_t)stamp < now && now - (uint64_t)stamp < OLDEST_STAMP_NS) arrival = (uint64_t)stamp;
        }
    }
    return arrival;
}

static int64_t wall_offset(Relay *relay, uint64_t now) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    const int64_t offset = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec - (int64_t)now;
    const int64_t moved = offset - relay->clock_offset_ns;
    relay->clock_offset_ns = offset;
    return moved > -CLOCK_STEP_NS && moved < CLOCK_STEP_NS ? offset : 0;
}

void device_receive(Relay *relay, Device *device) {
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    static _Alignas(struct cmsghdr) uint8_t controls[BATCH][CONTROL_BYTES];
    for (size_t i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){.iov_base = relay->arena + i * FRAME_ROOM, .iov_len = FRAME_ROOM - VLAN_BYTES};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i], .msg_controllen = CONTROL_BYTES};
    }
    const int got = recvmmsg(device->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (got < 0 && errno != EAGAIN && errno != EINTR) device_is_gone(device);
    if (got <= 0 || device->pipe == NULL) return;
    relay->received += (uint32_t)got;
    if (got == BATCH || messages[0].msg_len > PAGE_BYTES) relay->stretched = true;
    const uint64_t now = now_ns();
    const int64_t offset = wall_offset(relay, now);
    for (int i = 0; i < got; i++) {
        struct tpacket_auxdata aux = {0};
        const uint64_t arrival = arrival_of(&messages[i].msg_hdr, offset, now, &aux);
        uint8_t *data = vectors[i].iov_base;
        uint32_t bytes = messages[i].msg_len;
        if (bytes < OFFLOAD_BYTES + ETHER_BYTES) continue;
        if (messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
            device->pipe->count.socket_drops++;
            continue;
        }
        Offload offload;
        memcpy(&offload, data, sizeof offload);
        offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
        bytes -= OFFLOAD_BYTES;
        if (aux.tp_status & TP_STATUS_VLAN_VALID) {
            const uint16_t tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
            frame_tag(&offload, data + OFFLOAD_BYTES, &bytes, tpid, aux.tp_vlan_tci);
        }
        pipe_accept(relay, device->pipe, arrival, &offload, data + OFFLOAD_BYTES, bytes);
    }
}

void device_queue_out(Relay *relay, Packet *packet) {
    Device *device = packet->pipe->target;
    packet->next = NULL;
    if (device->out_first == NULL) device->out_first = packet;
    else device->out_last->next = packet;
    device->out_last = packet;
    if (device->out_listed) return;
    device->out_listed = true;
    device->out_next = relay->out;
    relay->out = device;
}

static size_t send_batch(Device *device, Packet **packets, size_t count) {
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    for (size_t i = 0; i < count; i++) {
        vectors[i] = (struct iovec){.iov_base = packets[i]->data, .iov_len = OFFLOAD_BYTES + packets[i]->bytes};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    const int sent = sendmmsg(device->fd, messages, (unsigned)count, MSG_DONTWAIT);
    for (int i = 0; i < sent; i++) packets[i]->pipe->count.sent += packets[i]->frames;
    if (sent > 0) return (size_t)sent;
    /* A full device drops, as a wire does: nothing is sent twice, and nothing waits. */
    packets[0]->pipe->count.unsent += packets[0]->frames;
    if (errno == ENXIO || errno == ENODEV || errno == ENETDOWN) device_is_gone(device);
    return 1;
}

static void send_device(Device *device) {
    Packet *packets[BATCH];
    while (device->out_first != NULL) {
        size_t count = 0, done = 0;
        for (; count < BATCH && device->out_first != NULL; device->out_first = device->out_first->next) packets[count++] = device->out_first;
        while (done < count) done += send_batch(device, packets + done, count - done);
        for (size_t i = 0; i < count; i++) packet_done(packets[i]);
    }
}

void device_send_all(Relay *relay) {
    while (relay->out != NULL) {
        Device *device = relay->out;
        relay->out = device->out_next;
        device->out_listed = false;
        send_device(device);
    }
}
