/* The device: settings, clock, what is on the air, and the session with a host (COMPANION.md). One per board. */
#ifndef RDV_DEVICE_H
#define RDV_DEVICE_H
#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "clock.h"
#include "frame.h"
#include "settings.h"

#define FIRMWARE_MAJOR 1u
#define FIRMWARE_MINOR 0u
#define FIRMWARE_PATCH 0u

/* The advert of its own that was drawn last: one address for one window. */
struct own_advert {
    enum air_kind kind; /* AIR_NOTHING: none was drawn */
    uint32_t window;
    uint8_t address[ADDRESS_BYTES];
};

/* The last request that was answered, and the answer. */
struct answered {
    bool valid;
    uint8_t type;
    uint8_t seq;
    uint16_t crc;
    uint8_t length;
    uint8_t reply[FRAME_PAYLOAD_MAX];
};

struct device {
    struct frame_decoder decoder;
    struct settings settings;
    struct checkpoint checkpoint;
    struct clock clock;
    struct air air;
    struct own_advert own;
    struct answered answered;
    uint32_t lease_ms; /* left; the host's advert is on the air while it is not 0 */
    uint32_t last_millis;
    uint32_t repeats;
    uint32_t drawn;
    uint32_t flash_failures;
    uint8_t event_seq;
    bool session;
    bool events;      /* the session wants them */
    bool air_changed; /* and the host has not been told */
    bool restarting;
};

void device_start(struct device *device);
void device_byte(struct device *device, uint8_t byte);
/* Does what has become due: to be called when a byte came, and not later than device_due_ms() after the last call. */
void device_tick(struct device *device);
/* 1 to 1000. */
uint32_t device_due_ms(const struct device *device);

/* ---- for commands.c ---- */

/* Lets ms pass in one go. */
void device_pass(struct device *device, uint32_t ms);
/* Puts on the air what belongs there now. */
void device_refresh(struct device *device);
/* Stores the clock. */
void device_checkpoint(struct device *device);
/* The bits of STATUS offset 1. */
uint8_t device_bits(const struct device *device);
/* What ADVERT says behind its status; at most 79 bytes. */
uint8_t device_air(const struct device *device, uint8_t *out);
int8_t device_calibrated(const struct settings *settings);

/* Works on a request of the session, or HELLO; leaves the reply in device->answered. */
void command_run(struct device *device, const struct frame *frame);
#endif
