/* Advertising with the nRF51's RADIO, without a Bluetooth stack (Core Vol 6 Part B 2.3.1, 4.4.2). */
#ifndef RDV_MICROBIT_RADIO_H
#define RDV_MICROBIT_RADIO_H
#include <stdint.h>

void radio_start(void);
/* Milliseconds until radio_event() is due, 0xffffffff: nothing is on the air. */
uint32_t radio_due_ms(void);
/* Sends the advert on the three channels, and answers scan requests where the host asked for it. About 2 ms. */
void radio_event(void);
#endif
