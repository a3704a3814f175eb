/* The backend of the WebSocket and upload measures: echo PORT.

   One thread, epoll. GET with Upgrade: the handshake, then every byte of the client's frames comes back unmasked, frame by
   frame. Any other request: its body is read and counted, the answer is that count. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "sha1.h"

enum { HEAD, SINK, CHUNKED, FRAMES };
#define ROOM (1 << 18)

struct peer {
    int fd, state, cut;
    size_t have, sent, out, room;   /* bytes in `in`; of `outbuf` sent, and to send */
    uint64_t left, total;
    char *in, *outbuf;
};
static int poll_fd;

static void drop(struct peer *p) { close(p->fd); free(p->in); free(p->outbuf); free(p); }

static void say(struct peer *p, const void *data, size_t n) {
    if (p->out + n > p->room) p->outbuf = realloc(p->outbuf, p->room = (p->out + n) * 2);
    memcpy(p->outbuf + p->out, data, n);
    p->out += n;
}

static int flush(struct peer *p) {
    while (p->sent < p->out) {
        ssize_t n = write(p->fd, p->outbuf + p->sent, p->out - p->sent);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) return -1;
        p->sent += n;
    }
    int full = p->sent < p->out;
    if (!full) p->sent = p->out = 0;
    if (full != p->cut) {           /* nothing is read while the peer takes nothing */
        struct epoll_event e = {full ? EPOLLOUT : EPOLLIN, {.ptr = p}};
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, p->fd, &e);
        p->cut = full;
    }
    return 0;
}

static void answer(struct peer *p) {
    char body[32], text[128];
    int n = sprintf(body, "%llu", (unsigned long long)p->total);
    n = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", n, body);
    say(p, text, n);
    p->state = HEAD;
}

static const char *field(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

static size_t take_head(struct peer *p) {
    p->in[p->have] = 0;
    char *end = strstr(p->in, "\r\n\r\n"), reply[256], accept[32];
    if (!end) return 0;
    end[2] = 0;
    const char *key = field(p->in, "\r\nSec-WebSocket-Key:"), *length = field(p->in, "\r\nContent-Length:");
    if (key) {
        websocket_accept(key, strcspn(key, "\r"), accept);
        say(p, reply, sprintf(reply, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept));
        p->state = FRAMES;
    } else {
        p->total = 0;
        p->left = length ? strtoull(length, NULL, 10) : 0;
        p->state = SINK;
        if (field(p->in, "\r\nTransfer-Encoding:")) p->state = CHUNKED;
        else if (!p->left) answer(p);
    }
    return end + 4 - p->in;
}

static size_t take_body(struct peer *p, size_t n) {
    if (n > p->left) n = p->left;
    p->total += n;
    if (!(p->left -= n) && p->state == SINK) answer(p);
    return n;
}

static size_t take_chunked(struct peer *p, char *at, size_t n) {
    if (p->left > 2) {              /* data and the line end behind it */
        size_t take = n < p->left - 2 ? n : p->left - 2;
        p->left -= take;
        p->total += take;
        return take;
    }
    if (p->left) { size_t take = n < p->left ? n : p->left; p->left -= take; return take; }
    char *end = memmem(at, n, "\r\n", 2);
    if (!end) return 0;
    uint64_t size = strtoull(at, NULL, 16);
    if (size) { p->left = size + 2; return end + 2 - at; }
    if ((size_t)(end + 4 - at) > n) return 0;
    answer(p);
    return end + 4 - at;
}

static size_t take_frame(struct peer *p, unsigned char *at, size_t n) {
    if (n < 2) return 0;
    size_t head = 2, size = at[1] & 127;
    if (size == 126) head = 4; else if (size == 127) head = 10;
    size_t body = head + 4;
    if (n < body) return 0;
    if (head == 4) size = at[2] << 8 | at[3];
    if (head == 10) { size = 0; for (int i = 2; i < 10; i++) size = size << 8 | at[i]; }
    if (n < body + size) return 0;
    unsigned char *mask = at + head, *data = at + body;
    uint32_t four; memcpy(&four, mask, 4);
    if (four) for (size_t i = 0; i < size; i++) data[i] ^= mask[i & 3];
    if ((at[0] & 15) == 9) at[0] = (at[0] & 0xf0) | 10;
    at[1] &= 127;
    say(p, at, head);
    say(p, data, size);
    return body + size;
}

static int take(struct peer *p) {
    size_t at = 0, n = 1;
    while (n && at < p->have) {
        if (p->state == HEAD && at) { memmove(p->in, p->in + at, p->have -= at); at = 0; }
        char *in = p->in + at;
        if (p->state == HEAD) n = take_head(p);
        else if (p->state == SINK) n = take_body(p, p->have - at);
        else if (p->state == CHUNKED) n = take_chunked(p, in, p->have - at);
        else n = take_frame(p, (unsigned char *)in, p->have - at);
        at += n;
    }
    if (at) memmove(p->in, p->in + at, p->have -= at);
    return flush(p);
}

static int receive(struct peer *p) {
    if (!p->in) p->in = malloc(ROOM + 1);
    ssize_t got = read(p->fd, p->in + p->have, ROOM - p->have);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) return -1;
    p->have += got;
    return take(p);
}

/* MSG_TRUNC: the kernel drops the bytes without copying them (tcp(7)). */
static int drain(struct peer *p) {
    ssize_t got = recv(p->fd, NULL, p->left < 4 * ROOM ? p->left : 4 * ROOM, MSG_TRUNC);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) return -1;
    take_body(p, got);
    return flush(p);
}

static void greet(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *p = calloc(1, sizeof *p);
        p->fd = fd;
        struct epoll_event e = {EPOLLIN, {.ptr = p}};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in where = {AF_INET, htons(atoi(argv[1])), {htonl(INADDR_LOOPBACK)}};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&where, sizeof where) || listen(listener, 4096)) { perror("echo"); return 1; }
    poll_fd = epoll_create1(0);
    struct epoll_event e = {EPOLLIN, {.ptr = NULL}}, ready[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(poll_fd, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = ready[i].data.ptr;
            if (!p) { greet(listener); continue; }
            if (p->cut) { if (flush(p) || (!p->cut && take(p))) drop(p); continue; }
            if (p->state == SINK ? drain(p) : receive(p)) drop(p);
        }
    }
}
