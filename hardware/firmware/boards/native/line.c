/* The native board's serial line. */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "../../core/board.h"

#define CHUNK 256u

static int master;
static int slave; /* held open, or the line would hang up whenever the host closes its end */
static uint32_t noise;
static uint32_t noise_state;
static uint32_t lost;

/* xorshift32: the same noise for the same seed. */
static uint32_t next_noise(void) {
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 17;
    noise_state ^= noise_state << 5;
    return noise_state;
}

/* Damages what passes: out has room for 2 * n. */
static size_t add_noise(const uint8_t *in, size_t n, uint8_t *out) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (noise == 0 || next_noise() % 1000000u >= noise) {
            out[at++] = in[i];
            continue;
        }
        uint32_t chance = next_noise();
        switch (chance % 3u) {
        case 0: out[at++] = (uint8_t)(in[i] ^ 1u << (chance >> 8) % 8u); break;
        case 1: break;
        default:
            out[at++] = (uint8_t)(chance >> 16);
            out[at++] = in[i];
        }
    }
    return at;
}

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

const char *line_open(uint32_t noise_ppm, uint32_t seed) {
    struct termios raw;
    noise = noise_ppm;
    noise_state = seed == 0 ? 1 : seed;
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) give_up("native: pseudo-terminal");
    const char *path = ptsname(master);
    if (path == NULL) give_up("native: pseudo-terminal");
    slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcgetattr(slave, &raw) != 0) give_up(path);
    cfmakeraw(&raw);
    if (tcsetattr(slave, TCSANOW, &raw) != 0) give_up(path);
    if (fcntl(master, F_SETFL, O_NONBLOCK) != 0) give_up(path);
    return path;
}

size_t line_read(uint8_t *bytes, size_t max, int ms) {
    uint8_t chunk[CHUNK];
    struct pollfd ready = {.fd = master, .events = POLLIN};
    if (poll(&ready, 1, ms) <= 0) return 0;
    ssize_t n = read(master, chunk, max / 2 < CHUNK ? max / 2 : CHUNK);
    return n <= 0 ? 0 : add_noise(chunk, (size_t)n, bytes);
}

void board_send(const uint8_t *wire, size_t n) {
    uint8_t damaged[2 * CHUNK];
    size_t left = add_noise(wire, n, damaged);
    const uint8_t *at = damaged;
    while (left > 0) {
        ssize_t sent = write(master, at, left);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) { /* nobody reads: as on a real line, it is gone */
            lost += (uint32_t)left;
            return;
        }
        at += sent;
        left -= (size_t)sent;
    }
}

uint32_t board_lost_bytes(void) { return lost; }
