/* Sends UDP datagrams out of one interface, to be seen by whoever watches the link.
 *
 *   sender DEVICE MAC SOURCE ADDRESS PORT TOKEN count SIZE COUNT INTERVAL_US
 *   sender DEVICE MAC SOURCE ADDRESS PORT TOKEN flood SIZE MILLISECONDS KBPS
 *
 * Whole frames are sent to the neighbour's MAC: that needs no answer from it, nor a route, so that each direction of a
 * link is used alone. SIZE is the frame's, in bytes, as a queue counts it. A datagram carries TOKEN (16 hexadecimal
 * digits), its number from 0, and bytes FILL. `count` sends one each INTERVAL_US and never hurries to make up for lost
 * time; `flood` sends KBPS on average for MILLISECONDS, as well as the node can. At the end it prints how many were
 * sent in how many microseconds, and for how many of these the kernel took none. Exit code 2: wrong words; 1: the
 * kernel refuses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { FILL = 0x55, HEADER = 14 + 20 + 8, PAYLOAD = 8 + 4, LONGEST = 1514, TICK_NS = 500000, RETRIES = 2000 };
/* More than a link's queue holds, so that it overflows; less than that of a machine's own device. */
enum { ROOM = 1 << 20 };

static unsigned char frame[LONGEST];
static uint64_t waited_ns;

static void fail(const char *what) {
    fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void wrong(const char *what, const char *word) {
    fprintf(stderr, "sender: %s: %s\n", what, word);
    exit(2);
}

static uint64_t number(const char *word, int base, uint64_t least, uint64_t most) {
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(word, &end, base);
    if (errno != 0 || *word < '0' || *end != '\0' || value < least || value > most) wrong("not a number in range", word);
    return value;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t at_ns) {
    const struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) continue;
}

static uint16_t checksum(const unsigned char *at, size_t bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i += 2) sum += (uint32_t)at[i] << 8 | at[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(unsigned char *at, unsigned value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static void put32(unsigned char *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static void address(unsigned char *at, const char *word) {
    if (inet_pton(AF_INET, word, at) != 1) wrong("not an IPv4 address", word);
}

static void make_frame(char **words, size_t size, const unsigned char *mac) {
    memset(frame, FILL, sizeof frame);
    unsigned char *to = frame;
    if (sscanf(words[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6)
        wrong("not a MAC", words[2]);
    memcpy(frame + 6, mac, 6);
    put16(frame + 12, ETHERTYPE_IP);
    unsigned char *ip = frame + 14;
    memset(ip, 0, 20 + 8);
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)size - 14);
    put16(ip + 6, IP_DF);
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    address(ip + 12, words[3]);
    address(ip + 16, words[4]);
    put16(ip + 10, checksum(ip, 20));
    unsigned char *udp = ip + 20;
    const unsigned port = (unsigned)number(words[5], 10, 1, 65535);
    put16(udp, port);
    put16(udp + 2, port);
    put16(udp + 4, (unsigned)size - 14 - 20); /* no checksum: IPv4 allows that */
    const uint64_t token = number(words[6], 16, 0, UINT64_MAX);
    put32(frame + HEADER, (uint32_t)(token >> 32));
    put32(frame + HEADER + 4, (uint32_t)token);
}

static int open_device(const char *device, unsigned char *mac) {
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("packet socket");
    struct ifreq ask = {0};
    if (strlen(device) >= sizeof ask.ifr_name) wrong("not an interface", device);
    memcpy(ask.ifr_name, device, strlen(device));
    if (ioctl(fd, SIOCGIFHWADDR, &ask) != 0) fail(device);
    memcpy(mac, ask.ifr_hwaddr.sa_data, 6);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
    const int room = ROOM;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* up to a limit, silently */
    if (bind(fd, (struct sockaddr *)&to, sizeof to) != 0) fail(device);
    return fd;
}

static void send_one(int fd, size_t size, uint32_t i) {
    put32(frame + HEADER + 8, i);
    for (int tries = 0; send(fd, frame, size, MSG_DONTWAIT) < 0; tries++) {
        if ((errno != ENOBUFS && errno != EAGAIN && errno != EINTR) || tries == RETRIES) fail("send");
        const uint64_t begun = now_ns();
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        /* With ENOBUFS there is room in the socket, but none in the queue of the node's own device. */
        if (errno == ENOBUFS || poll(&room, 1, 100) < 0) sleep_until(begun + TICK_NS);
        waited_ns += now_ns() - begun;
    }
}

static uint64_t count(int fd, size_t size, uint64_t times, uint64_t interval_ns) {
    uint64_t due = now_ns();
    for (uint64_t i = 0; i < times; i++) {
        send_one(fd, size, (uint32_t)i);
        const uint64_t now = now_ns();
        due += interval_ns;
        if (now + interval_ns / 2 > due) due = now + interval_ns;
        if (i + 1 < times) sleep_until(due);
    }
    return times;
}

static uint64_t flood(int fd, size_t size, uint64_t duration_ns, uint64_t kbps) {
    const uint64_t begun = now_ns();
    uint64_t sent = 0;
    for (uint64_t now = begun; now - begun < duration_ns; now = now_ns()) {
        const uint64_t due = (uint64_t)((double)(now - begun) * (double)kbps / (8e6 * (double)size)) + 1;
        if (sent >= due) sleep_until(now + TICK_NS);
        /* Back to the clock after a while: a node that cannot keep up must still end in time. */
        for (int i = 0; sent < due && i < 64; i++) send_one(fd, size, (uint32_t)sent++);
    }
    return sent;
}

int main(int words, char **word) {
    if (words != 11) wrong("usage", "sender DEVICE MAC SOURCE ADDRESS PORT TOKEN count|flood SIZE N N");
    const size_t size = (size_t)number(word[8], 10, HEADER + PAYLOAD, LONGEST);
    unsigned char mac[6];
    const int fd = open_device(word[1], mac);
    make_frame(word, size, mac);
    const uint64_t begun = now_ns();
    uint64_t sent = 0;
    if (strcmp(word[7], "count") == 0)
        sent = count(fd, size, number(word[9], 10, 1, 1000000), number(word[10], 10, 1, 60000000) * 1000);
    else if (strcmp(word[7], "flood") == 0)
        sent = flood(fd, size, number(word[9], 10, 1, 60000) * 1000000, number(word[10], 10, 1, 100000000));
    else
        wrong("neither count nor flood", word[7]);
    printf("%llu %llu %llu\n", (unsigned long long)sent, (unsigned long long)((now_ns() - begun) / 1000),
           (unsigned long long)(waited_ns / 1000));
    return 0;
}
