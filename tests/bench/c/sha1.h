/* SHA-1 and Base64, for the answer to a WebSocket handshake (RFC 6455, section 4.2.2). */
#include <stdint.h>
#include <string.h>

static uint32_t rotated(uint32_t v, int n) { return v << n | v >> (32 - n); }

static void sha1_block(uint32_t h[5], const unsigned char *in) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) w[i] = in[4 * i] << 24 | in[4 * i + 1] << 16 | in[4 * i + 2] << 8 | in[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i > 59 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t t = rotated(a, 5) + f + e + k + w[i];
        e = d; d = c; c = rotated(b, 30); b = a; a = t;
    }
    h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
}

/* `out` takes 29 bytes. The key must be shorter than 60 bytes: a right one has 24. */
static void websocket_accept(const char *key, size_t n, char *out) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char text[128] = {0}, sum[21] = {0};
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    if (n > 60) n = 60;
    memcpy(text, key, n);
    memcpy(text + n, guid, 36);
    n += 36;
    text[n] = 0x80;
    int blocks = n + 9 > 64 ? 2 : 1;
    text[64 * blocks - 2] = n * 8 >> 8;
    text[64 * blocks - 1] = n * 8 & 255;
    for (int i = 0; i < blocks; i++) sha1_block(h, text + 64 * i);
    for (int i = 0; i < 20; i++) sum[i] = h[i / 4] >> (24 - 8 * (i % 4));
    for (int i = 0; i < 7; i++) {
        uint32_t v = sum[3 * i] << 16 | sum[3 * i + 1] << 8 | sum[3 * i + 2];
        for (int j = 0; j < 4; j++) out[4 * i + j] = digits[v >> (18 - 6 * j) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}
