/* ws echo|idle PORT PATH CONNECTIONS SIZE SECONDS: WebSocket load.

   echo: each connection sends one message and waits until it has come back, byte for byte, then sends the next.
   Its last line is JSON: requests (echoes), us, bad.
   idle: opens the connections, says {"open": N} and holds them until standard input ends. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include "net.h"

#define HEAD 8192
static const char mask[4] = {0x37, 0x1f, 0x5a, 0x21};

struct line { int fd; size_t sent, got; };
static char *out, *want, *in;
static size_t out_size, want_size;

static size_t frame_head(char *at, size_t size, int masked) {
    at[0] = (char)0x82;
    size_t n = 2;
    if (size < 126) at[1] = size;
    else if (size < 65536) { at[1] = 126; at[2] = size >> 8; at[3] = size; n = 4; }
    else { at[1] = 127; for (int i = 0; i < 8; i++) at[2 + i] = size >> (56 - 8 * i); n = 10; }
    if (masked) { at[1] |= 0x80; memcpy(at + n, mask, 4); n += 4; }
    return n;
}

static void prepare(size_t size) {
    out = malloc(size + 16);
    want = malloc(size + 16);
    in = malloc(size + 16);
    size_t head = frame_head(out, size, 1), plain = frame_head(want, size, 0);
    for (size_t i = 0; i < size; i++) {
        want[plain + i] = (char)(i * 7 + 1);
        out[head + i] = want[plain + i] ^ mask[i & 3];
    }
    out_size = head + size;
    want_size = plain + size;
}

static int opened(int port, const char *path) {
    char text[HEAD];
    int fd = dial(port);
    if (fd < 0) return -1;
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Origin: http://127.0.0.1:%d\r\n\r\n", path, port, port);
    size_t have;
    if (send_all(fd, text, n) || !read_head(fd, text, sizeof text, &have) || strncmp(text + 9, "101", 3)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* 1: an echo came back whole; 0: not yet; -1: it is lost or not the same. */
static int go_on(struct line *l) {
    while (l->sent < out_size) {
        ssize_t n = send(l->fd, out + l->sent, out_size - l->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) return -1;
        l->sent += n;
    }
    while (l->got < want_size) {
        ssize_t n = recv(l->fd, in, want_size - l->got, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0 || memcmp(in, want + l->got, n)) return -1;
        l->got += n;
    }
    return 1;
}

static void watch(int poll, struct line *l, int how) {
    struct epoll_event e = {EPOLLIN | (l->sent < out_size ? EPOLLOUT : 0), {.ptr = l}};
    epoll_ctl(poll, how, l->fd, &e);
}

static void echo(int *fds, int count, double seconds) {
    int poll = epoll_create1(0), alive = count;
    struct line *lines = calloc(count, sizeof *lines);
    struct epoll_event ready[256];
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), echoes = 0, bad = 0;
    for (int i = 0; i < count; i++) {
        lines[i].fd = fds[i];
        watch(poll, &lines[i], EPOLL_CTL_ADD);
    }
    while (alive && now_ns() < end) {
        int n = epoll_wait(poll, ready, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct line *l = ready[i].data.ptr;
            int was = l->sent < out_size, done;
            while ((done = go_on(l)) == 1) { echoes++; l->sent = l->got = 0; }
            if (done < 0) { bad++; alive--; close(l->fd); continue; }
            if (was != (l->sent < out_size)) watch(poll, l, EPOLL_CTL_MOD);
        }
    }
    printf("{\"requests\": %llu, \"us\": %llu, \"bad\": %llu}\n", (unsigned long long)echoes,
           (unsigned long long)((now_ns() - begin) / 1000), (unsigned long long)bad);
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    int port = atoi(argv[2]), count = atoi(argv[4]), *fds = calloc(count, sizeof *fds), open = 0;
    prepare(strtoull(argv[5], NULL, 10));
    for (int i = 0; i < count; i++) open += (fds[open] = opened(port, argv[3])) >= 0;
    if (!strcmp(argv[1], "echo")) {
        if (open < count) { fprintf(stderr, "%d of %d connections were refused\n", count - open, count); return 1; }
        echo(fds, count, atof(argv[6]));
        return 0;
    }
    printf("{\"open\": %d}\n", open);
    fflush(stdout);
    while (getchar() != EOF) ;
    return 0;
}
