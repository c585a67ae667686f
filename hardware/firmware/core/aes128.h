/* AES-128 encryption of one block (FIPS 197), for chips without it. */
#ifndef RDV_AES128_H
#define RDV_AES128_H
#include <stdint.h>

#define AES_BLOCK 16u

/* Encrypts block in place. The round keys are made on the way and wiped. */
void aes128_encrypt(const uint8_t key[AES_BLOCK], uint8_t block[AES_BLOCK]);
#endif
