"""The relay's sources under the sanitizers: its queues against a plain model, its cutting of frames, its requests."""

import random
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from relaywire import NATIVE, compiled

NS_PER_S = 10**9

#: Reads commands, prints a line for each. Frames are kept in memory of exactly their size.
DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "relay.h"

static Queue queue;
static Random chance = {.state = 88172645463325252ull};

static void set(void) {
    QueueSettings s = {0};
    unsigned long long now;
    char unit, kind[16];
    if (scanf("%lu %u %c %15s", &s.rate_bytes_per_s, &s.limit, &unit, kind) != 4) abort();
    if (scanf("%u %u %u %u %llu", &s.min, &s.max, &s.weight_ppm, &s.linterm, &now) != 5) abort();
    s.in_bytes = unit == 'b';
    s.discipline = kind[0] == 'd' ? DROPTAIL : kind[0] == 'r' ? RED : GRED;
    queue_set(&queue, &s, now);
    puts("set");
}

static void offer(void) {
    unsigned long long now;
    unsigned bytes;
    uint64_t depart = 0;
    if (scanf("%llu %u", &now, &bytes) != 2) abort();
    if (queue_offer(&queue, now, bytes, &chance, &depart)) printf("%llu\n", (unsigned long long)depart);
    else puts("-");
}

/* Frames of 1,000 bytes arrive whenever `length` wait; how many of `count` are dropped. */
static void hold(void) {
    unsigned length, count, drops = 0;
    uint64_t now = 0, depart;
    if (scanf("%u %u", &length, &count) != 2) abort();
    for (unsigned i = 0; i < count; i++) {
        if (queue_offer(&queue, now, 1000, &chance, &depart)) now += 1000 * 1000000000ull / queue.set.rate_bytes_per_s;
        else drops++;
        if (queue.count > length + 1) abort();
    }
    printf("%u\n", drops);
}

static void pieces(const Offload *offload, const uint8_t *frame, uint32_t bytes, bool print) {
    const Cut cut = frame_cut(offload, frame, bytes);
    for (uint32_t i = 0; cut.count > 1 && i < cut.count; i++) {
        const uint32_t size = frame_piece_bytes(&cut, i);
        uint8_t *piece = malloc(size);
        Offload left;
        frame_piece(&cut, i, offload, frame, piece, &left);
        frame_fill_checksum(&left, piece, size);
        for (uint32_t k = 0; print && k < size; k++) printf("%02x", piece[k]);
        if (print) printf(" ");
        free(piece);
    }
    if (print) puts(".");
}

static void cut(void) {
    unsigned type, size, start, offset, bytes;
    if (scanf("%u %u %u %u %u ", &type, &size, &start, &offset, &bytes) != 5) abort();
    uint8_t *frame = malloc(bytes);
    for (unsigned i = 0; i < bytes; i++) {
        unsigned value;
        if (scanf("%2x", &value) != 1) abort();
        frame[i] = (uint8_t)value;
    }
    Offload offload = {.flags = 1, .gso_type = (uint8_t)type, .gso_size = (uint16_t)size};
    offload.csum_start = (uint16_t)start;
    offload.csum_offset = (uint16_t)offset;
    pieces(&offload, frame, bytes, true);
    free(frame);
}

static void fuzz(void) {
    static const uint8_t types[] = {0, 1, 3, 4, 5, 0x81, 0x84, 0xff};
    static const uint16_t ethertypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806};
    unsigned count;
    if (scanf("%u", &count) != 1) abort();
    for (unsigned turn = 0; turn < count; turn++) {
        uint32_t bytes = 14 + random_u32(&chance) % (turn % 2 ? 80 : 3000);
        uint8_t *frame = malloc(bytes + VLAN_BYTES), *exact;
        for (uint32_t i = 0; i < bytes; i++) frame[i] = (uint8_t)random_u32(&chance);
        for (uint32_t at = 12; at + 2 <= bytes && at < 24; at += 4) {
            const uint16_t type = ethertypes[random_u32(&chance) % 5];
            frame[at] = (uint8_t)(type >> 8), frame[at + 1] = (uint8_t)type;
        }
        if (bytes > 14) frame[14] = 0x45;
        Offload offload = {.flags = random_u32(&chance) & 1, .gso_type = types[random_u32(&chance) % 8]};
        offload.gso_size = (uint16_t)(random_u32(&chance) % 1500);
        offload.csum_start = (uint16_t)(turn % 3 ? 34 + random_u32(&chance) % 3 * 4 : random_u32(&chance));
        offload.csum_offset = turn % 5 ? 16 : (uint16_t)random_u32(&chance);
        if (turn % 4 == 0) frame_tag(&offload, frame, &bytes, 0x8100, 7);
        exact = malloc(bytes);
        memcpy(exact, frame, bytes);
        pieces(&offload, exact, bytes, false);
        frame_corrupt(&offload, exact, bytes, &chance);
        free(frame);
        free(exact);
    }
    puts("fuzzed");
}

static void heap(void) {
    unsigned count;
    Heap one = {0};
    if (scanf("%u", &count) != 1) abort();
    Packet *packets = calloc(count, sizeof *packets);
    for (unsigned i = 0; i < count; i++) {
        packets[i].due_ns = random_u32(&chance) % 1000;
        packets[i].turn = i;
        if (!heap_push(&one, &packets[i])) abort();
        if (i % 3 == 2) heap_pop(&one);
    }
    for (size_t i = 0; i < one.count; i++) one.at[i]->due_ns = random_u32(&chance) % 1000;
    heap_order(&one);
    const Packet *last = NULL;
    for (; one.count > 0;) {
        const Packet *next = heap_pop(&one);
        if (last && (last->due_ns > next->due_ns || (last->due_ns == next->due_ns && last->turn > next->turn))) abort();
        last = next;
    }
    free(one.at);
    free(packets);
    puts("ordered");
}

int main(void) {
    char word[16];
    double average;
    while (scanf("%15s", word) == 1) {
        if (!strcmp(word, "set")) set();
        else if (!strcmp(word, "offer")) offer();
        else if (!strcmp(word, "hold")) hold();
        else if (!strcmp(word, "cut")) cut();
        else if (!strcmp(word, "fuzz")) fuzz();
        else if (!strcmp(word, "heap")) heap();
        else if (!strcmp(word, "red") && scanf("%lf", &average) == 1)
            printf("%.9f\n", queue_red_probability(&queue.set, average));
        else if (!strcmp(word, "average")) printf("%.9f\n", queue.average);
        else abort();
    }
    queue_free(&queue);
    return 0;
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relay")
    source = folder / "driver.c"
    source.write_text(DRIVER)
    return compiled(folder / "driver", [source, *(NATIVE / f"{name}.c" for name in ("queue", "frame", "heap"))])


def drive(driver: Path, *commands: str) -> list[str]:
    done = subprocess.run([driver], input="\n".join(commands), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return done.stdout.splitlines()


class TestQueue:
    @pytest.mark.parametrize("unit", ["p", "b"])
    def test_virtual_time_is_that_of_a_plain_model(self, driver: Path, unit: str) -> None:
        draw = random.Random(7)  # noqa: S311 - not for secrets
        for _ in range(30):
            rate, limit = draw.choice([1, 999, 125_000, 10**9]), draw.choice([1, 5, 50, 20_000])
            now, commands, waiting, free, expected = (
                0,
                [f"set {rate} {limit} {unit} droptail 0 0 0 0 0"],
                [],
                0,
                ["set"],
            )
            for _ in range(300):
                size = draw.choice([60, 100, 1514])
                now += draw.choice([0, 1, size * NS_PER_S // rate, draw.randrange(3 * size * NS_PER_S // rate + 1)])
                commands.append(f"offer {now} {size}")
                # In units of 1 / rate nanoseconds there is no rounding.
                waiting = [(depart, bytes_) for depart, bytes_ in waiting if depart // rate > now]
                used = len(waiting) + 1 if unit == "p" else sum(each for _, each in waiting) + size
                if waiting and used > limit:
                    expected.append("-")
                    continue
                free = (free if free // rate >= now else now * rate) + size * NS_PER_S
                waiting.append((free, size))
                expected.append(str(free // rate))
            assert drive(driver, *commands) == expected

    def test_without_a_rate_nothing_waits_and_nothing_is_dropped(self, driver: Path) -> None:
        said = drive(driver, "set 0 1 p droptail 0 0 0 0 0", *["offer 5 1514"] * 100)
        assert said[1:] == ["5"] * 100

    def test_a_frame_larger_than_the_limit_passes_an_empty_queue(self, driver: Path) -> None:
        assert drive(driver, "set 1000 100 b droptail 0 0 0 0 0", "offer 0 1000", "offer 0 60")[1:] == [
            str(NS_PER_S),
            "-",
        ]

    def test_a_change_of_rate_holds_for_what_waits(self, driver: Path) -> None:
        full = [f"offer 0 1000 offer 0 1000 set {rate} 9 p droptail 0 0 0 0 500000000" for rate in (4000, 500, 0)]
        ends = [drive(driver, "set 1000 9 p droptail 0 0 0 0 0", words, "offer 500000000 1000")[-1] for words in full]
        # 1,500 of 2,000 bytes are left at half a second.
        assert ends == ["1125000000", "5500000000", "500000000"]


class TestRed:
    SET = "set 1000000 1000 p {} 5 15 1000000 10 0"

    @pytest.mark.parametrize(
        ("kind", "curve"),
        [
            ("red", {0: 0, 4.9: 0, 5: 0, 10: 0.05, 14.99: 0.0999, 15: 1, 40: 1}),
            ("gred", {4.9: 0, 10: 0.05, 15: 0.1, 22.5: 0.55, 29.99: 0.9994, 30: 1, 40: 1}),
        ],
    )
    def test_the_probability_follows_the_average(self, driver: Path, kind: str, curve: dict[float, float]) -> None:
        said = drive(driver, self.SET.format(kind), *(f"red {average}" for average in curve))
        assert [float(each) for each in said[1:]] == pytest.approx(list(curve.values()), abs=1e-6)

    @pytest.mark.parametrize(
        ("kind", "length", "probability"), [("red", 10, 0.05), ("red", 13, 0.08), ("gred", 20, 0.4)]
    )
    def test_drops_come_with_that_probability(self, driver: Path, kind: str, length: int, probability: float) -> None:
        """With weight 1 the average is the queue; after each frame that was taken, one has left.

        Between two drops the frames are uniform up to 1 / probability: two drops in (1 / probability + 1) frames.
        """
        fill = [self.SET.format("droptail"), *["offer 0 1000"] * length, self.SET.format(kind)]
        share = int(drive(driver, *fill, f"hold {length} 40000")[-1]) / 40_000
        assert share == pytest.approx(2 * probability / (1 + probability), rel=0.05)

    def test_the_average_follows_slowly_and_decays_while_the_queue_is_empty(self, driver: Path) -> None:
        slow = "set 1000000 1000 p red 5 15 2000 4294967295 0"
        said = drive(driver, slow, *["offer 0 1000"] * 100, "average", "offer 100512000 1000", "average")
        expected = 0.0
        for length in range(1, 100):
            expected += (length - expected) * 0.002
        assert float(said[101]) == pytest.approx(expected)
        # Empty since 100 ms; a typical packet of 512 bytes takes 0.512 ms.
        assert float(said[103]) == pytest.approx(expected * 0.998)


def checksum(data: bytes) -> int:
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class TestFrames:
    ADDRESSES = bytes(range(1, 9)), bytes(range(1, 33))

    def frame(self, version: int, protocol: int, payload: bytes, tag: bytes = b"") -> tuple[bytes, int, int]:
        """A large frame as a sender leaves it to its card, and where its transport and its IP header are."""
        transport = struct.pack("!HHIIBBHHH", 1000, 2000, 0xFFFFFF00, 5, 0x80, 0x99, 100, 0, 0) + bytes(12)
        if protocol == 17:
            transport = struct.pack("!HHHH", 1000, 2000, 8 + len(payload), 0)
        length = len(transport) + len(payload)
        if version == 4:
            address, ethertype = self.ADDRESSES[0], 0x0800
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0xFFFE, 0x4000, 64, protocol, 0) + address
        else:
            address, ethertype = self.ADDRESSES[1], 0x86DD
            ip = struct.pack("!IHBB", 6 << 28, length, protocol, 64) + address
        head = bytes(12) + tag + struct.pack("!H", ethertype)
        return head + ip + transport + payload, len(head + ip), len(head)

    @pytest.mark.parametrize("version", [4, 6])
    @pytest.mark.parametrize("protocol", [6, 17])
    @pytest.mark.parametrize("tag", [b"", bytes.fromhex("81000007")])
    def test_pieces_are_whole_frames_with_right_checksums(
        self, driver: Path, version: int, protocol: int, tag: bytes
    ) -> None:
        payload = bytes(number * number % 251 for number in range(10_001))
        frame, l4, l3 = self.frame(version, protocol, payload, tag)
        kind = 5 if protocol == 17 else {4: 1, 6: 4}[version]
        (line,) = drive(driver, f"cut {kind} 1400 {l4} {16 if protocol == 6 else 6} {len(frame)} {frame.hex()}")
        pieces = [bytes.fromhex(each) for each in line.split()[:-1]]
        header = l4 + (32 if protocol == 6 else 8)
        assert len(pieces) == 8
        assert b"".join(piece[header:] for piece in pieces) == payload
        for number, piece in enumerate(pieces):
            assert piece[:l3] == frame[:l3]
            ip, transport = piece[l3:l4], piece[l4:]
            if version == 4:
                assert checksum(ip) == 0xFFFF
                assert struct.unpack("!HH", ip[2:6]) == (len(piece) - l3, (0xFFFE + number) & 0xFFFF)
            else:
                assert struct.unpack("!H", ip[4:6]) == (len(transport),)
            pseudo = self.ADDRESSES[version == 6] + struct.pack("!HH", protocol, len(transport))
            assert checksum(pseudo + transport) == 0xFFFF
            if protocol == 17:
                assert struct.unpack("!H", transport[4:6]) == (len(transport),)
                continue
            assert struct.unpack("!I", transport[4:8])[0] == (0xFFFFFF00 + 1400 * number) & 0xFFFFFFFF
            # CWR with the first, FIN and PSH with the last, ACK with all.
            assert transport[13] == 0x10 | (0x80 if number == 0 else 0) | (0x09 if number == 7 else 0)

    def test_what_is_no_such_frame_stays_whole(self, driver: Path) -> None:
        frame, l4, _ = self.frame(4, 6, bytes(5000))
        wrong = (f"0 1400 {l4}", f"3 1400 {l4}", f"1 0 {l4}", f"1 1400 {l4 + 2}", f"1 1400 {len(frame)}", "1 1400 0")
        said = drive(driver, *(f"cut {words} 16 {len(frame)} {frame.hex()}" for words in wrong))
        assert said == ["."] * len(wrong)

    def test_no_frame_makes_it_read_or_write_what_is_not_its_own(self, driver: Path) -> None:
        assert drive(driver, "fuzz 20000") == ["fuzzed"]


def test_packets_leave_the_heap_in_order(driver: Path) -> None:
    assert drive(driver, *(f"heap {count}" for count in (0, 1, 2, 5, 6, 1000, 9999))) == ["ordered"] * 7


def ask(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


GOOD = "pipe no-such-a no-such-b 0 0 0 0 0 0 0 50 p droptail 0 0 0 0"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("built") / "relay", sorted(NATIVE.glob("*.c")))


class TestRequests:
    def test_wrong_lines_are_told_by_number_and_nothing_is_touched(self, relay: Path, tmp_path: Path) -> None:
        path = tmp_path / "s"
        process = subprocess.Popen([relay, path], stderr=subprocess.PIPE, text=True)
        while not path.exists():
            assert process.poll() is None
        assert path.stat().st_mode & 0o777 == 0o600
        # Another at the same path ends at once.
        assert subprocess.run([relay, path], capture_output=True, check=False).returncode == 3
        wrong = {
            GOOD: "no such device",
            GOOD.replace("no-such-a", "a" * 16): "a device name is too long",
            GOOD + " 0": "a pipe has 16 words",
            GOOD.replace(" 0 0 0 0 0 0 0 50", " x 0 0 0 0 0 0 50"): "the rate is no number of bytes per second",
            GOOD.replace(" 0 0 0 0 0 0 0 50", " 0 0 0 4294967296 0 0 0 50"): "a share is no number below 2^32",
            GOOD.replace("50 p", "0 p"): "the limit is no number from 1 on",
            GOOD.replace("50 p", "50 k"): "the limit is neither in packets (p) nor in bytes (b)",
            GOOD.replace("droptail", "codel"): "the queue is none of droptail, red and gred",
            GOOD.replace(
                "droptail 0 0 0 0", "red 5 5 1 1"
            ): "red needs min below max, a weight and a linterm from 1 on",
            "drop": "drop has one word: SOURCE",
            "halt": "the first word is none of pipe, drop, show, calm and quit",
        }
        expected = "".join(f"error {number} {text}\n" for number, text in enumerate(wrong.values(), 1))
        assert ask(path, "\n".join(wrong).encode()).decode() == expected
        assert ask(path, b"") == ask(path, b"\n\n show \ndrop none") == b"ok\n"
        draw = random.Random(3)  # noqa: S311 - not for secrets
        words = [*GOOD.split(), "show", "drop", "-1", "99999999999999999999", "\0", "\r", "red", "b"]
        for _ in range(200):
            lines = (" ".join(draw.choices(words, k=draw.choice([1, 2, 17, 30]))) for _ in range(draw.randrange(30)))
            assert ask(path, "\n".join(lines).encode()).endswith(b"\n")
            ask(path, draw.randbytes(draw.randrange(2000)).replace(b"quit", b""))
        assert ask(path, GOOD.encode() * 100_000).startswith(b"error 1 ")
        assert ask(path, b"quit") == b"ok\n"
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
        assert list(tmp_path.iterdir()) == []
