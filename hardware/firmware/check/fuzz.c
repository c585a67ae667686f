/* libFuzzer: any bytes on the line, any time between them, resets and losses of power at any moment. The first byte of the
 * input says what each part is; valid frames are made, too, so that the commands behind the CRC are reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../core/bytes.h"
#include "../core/device.h"
#include "fake-board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct device device;

static void require(bool held) {
    if (!held) abort();
}

/* What must hold whatever came. */
static void check_device(void) {
    require(fake_sent_damaged == 0);
    require(device.air.data_length <= ADVERT_MAX && device.air.scan_length <= ADVERT_MAX);
    require(device.answered.length <= FRAME_PAYLOAD_MAX);
    require(device.clock.now.ms < 1000 && device.clock.uptime.ms < 1000);
    if (device.restarting) return; /* only what came before it counts */
    if (device.air.kind == AIR_EID) {
        uint8_t eid[EID_BYTES];
        require(device.settings.number != 0 && device.clock.confidence != CLOCK_LOST);
        eid_at(device.settings.key, device.clock.now.seconds, device.settings.exponent, eid);
        uint8_t at = device.settings.format == FORMAT_EDDYSTONE ? 13 : 22;
        require(same_bytes(device.air.data + at, eid, EID_BYTES));
    }
    require(same_bytes(fake_air.data, device.air.data, device.air.data_length));
    require(device.air.kind == AIR_NOTHING || fake_air.kind == device.air.kind);
    for (unsigned i = 0; i < fake_sent_count; i++) { /* no key ever leaves */
        const struct fake_sent *sent = &fake_sent[i];
        if (sent->bytes[0] == 0x8d || device.settings.number == 0) continue; /* an echo of the host's own bytes */
        for (unsigned j = 2; j + BEACON_KEY_BYTES <= sent->length; j++) {
            bool host_sent = device.air.kind == AIR_HOST; /* its advert may hold anything */
            require(host_sent || !same_bytes(sent->bytes + j, device.settings.key, BEACON_KEY_BYTES) ||
                    device.settings.key[0] == device.settings.key[15]);
        }
    }
    fake_sent_count = 0;
}

static void send_frame(const uint8_t *data, size_t n) {
    uint8_t wire[FRAME_WIRE_MAX];
    size_t length = frame_encode(data[0], data[1], data + 2, n - 2, wire);
    for (size_t i = 0; i < length; i++) device_byte(&device, wire[i]);
}

static void restart(enum reset_reason reason) {
    fake_restart(reason);
    device_start(&device);
    require(fake_sent_count > 0);
    fake_sent_count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t HELLO[9] = {1, 0, 1, 1, 1, 0, 0, 0, 0};
    fake_new();
    fake_sent_damaged = 0;
    restart(RESET_POWER);
    send_frame(HELLO, sizeof HELLO);
    while (size >= 2) {
        size_t n = data[1] % 101u;
        uint8_t kind = data[0] % 8u;
        data += 2;
        size -= 2;
        if (n > size) n = size;
        switch (kind) {
        case 0: for (size_t i = 0; i < n; i++) device_byte(&device, data[i]); break;
        case 1: restart(RESET_POWER); break;
        case 2: restart(RESET_PIN); break;
        case 3:
            fake_pass((uint32_t)n * 65536u);
            device_tick(&device);
            break;
        case 4: fake_power = (int32_t)n; break; /* and what follows may not be written */
        case 5: send_frame(HELLO, sizeof HELLO); break;
        default:
            if (n >= 2 && n - 2 <= FRAME_PAYLOAD_MAX) send_frame(data, n);
        }
        check_device();
        data += n;
        size -= n;
    }
    return 0;
}
