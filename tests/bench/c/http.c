/* http get|put PORT PATH CONNECTIONS SIZE SECONDS: whole transfers, one after the other on each connection.

   get: each answer must be a 200 with SIZE bytes. put: SIZE bytes go out, and the answer's body must be that number.
   Its last line is JSON: requests, us (elapsed until the last one ended), bad, p50 and p99 in nanoseconds. */
#define _GNU_SOURCE
#include <pthread.h>
#include "net.h"

#define HEAD 16384
#define CHUNK (1 << 18)
#define KEPT (1 << 20)

static const char *path;
static int port, upload;
static uint64_t size, begin, length_ns, samples[KEPT];
static uint64_t requests, bad, kept;

static char why[128];    /* the first transfer that failed, and how */

static int lost(const char *when, uint64_t left) {
    if (!*why) snprintf(why, sizeof why, "%s, %llu bytes before its end: %s", when, (unsigned long long)left,
                        errno ? strerror(errno) : "closed by the proxy");
    return -1;
}

static int discard(int fd, uint64_t left) {
    while (left) {      /* MSG_TRUNC: the kernel drops the bytes without copying them (tcp(7)) */
        ssize_t got = recv(fd, NULL, left < CHUNK * 4 ? left : CHUNK * 4, MSG_TRUNC);
        if (got <= 0) return lost("the answer was cut", left);
        left -= got;
    }
    return 0;
}

static int send_body(int fd) {
    static char zeros[CHUNK];
    for (uint64_t left = size; left; left -= left < CHUNK ? left : CHUNK)
        if (send_all(fd, zeros, left < CHUNK ? left : CHUNK)) return lost("the body was not taken", left);
    return 0;
}

/* 0: right; 1: a wrong answer; -1: the connection is of no more use. A recv of 0 leaves errno as it was, so it is cleared. */
static int transfer(int fd, const char *head, size_t length) {
    char in[HEAD], *field;
    size_t have, start;
    errno = 0;
    if (send_all(fd, head, length) || (upload && send_body(fd))) return lost("the request was not taken", 0);
    if (!(start = read_head(fd, in, sizeof in, &have))) return lost("there was no answer", 0);
    int right = !strncmp(in + 9, "200", 3);
    if (!(field = strcasestr(in, "\r\ncontent-length:")) || field > in + start) return lost("there was no length", 0);
    uint64_t expected = strtoull(field + 17, NULL, 10), here = have - start;
    if (here > expected) return -1;
    if (!upload) {
        if (discard(fd, expected - here)) return -1;
        return right && expected == size ? 0 : 1;
    }
    while (have - start < expected && have < sizeof in - 1) {
        ssize_t got = recv(fd, in + have, sizeof in - 1 - have, 0);
        if (got <= 0) return -1;
        in[have += got] = 0;
    }
    return right && strtoull(in + start, NULL, 10) == size ? 0 : 1;
}

static void *connection(void *unused) {
    char head[1024];
    int length = upload ? snprintf(head, sizeof head,
                                   "PUT %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\n"
                                   "Content-Length: %llu\r\n\r\n", path, port, (unsigned long long)size)
                        : snprintf(head, sizeof head,
                                   "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
                                   path, port);
    int fd = -1, failed = 0;
    while (now_ns() - begin < length_ns && failed < 5) {
        if (fd < 0 && (fd = dial(port)) < 0) { failed++; __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED); continue; }
        uint64_t from = now_ns();
        int wrong = transfer(fd, head, length);
        uint64_t slot = __atomic_fetch_add(&kept, 1, __ATOMIC_RELAXED);
        if (slot < KEPT) samples[slot] = now_ns() - from;
        __atomic_add_fetch(wrong ? &bad : &requests, 1, __ATOMIC_RELAXED);
        if (wrong < 0) { close(fd); fd = -1; failed++; }
    }
    return unused;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    upload = !strcmp(argv[1], "put");
    port = atoi(argv[2]);
    path = argv[3];
    int count = atoi(argv[4]);
    size = strtoull(argv[5], NULL, 10);
    length_ns = (uint64_t)(atof(argv[6]) * 1e9);
    pthread_t threads[256];
    begin = now_ns();
    for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, connection, NULL);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    uint64_t us = (now_ns() - begin) / 1000, n = kept < KEPT ? kept : KEPT;
    qsort(samples, n, sizeof *samples, by_size);
    printf("{\"requests\": %llu, \"us\": %llu, \"bad\": %llu, \"p50\": %llu, \"p99\": %llu, \"why\": \"%s\"}\n",
           (unsigned long long)requests, (unsigned long long)us, (unsigned long long)bad,
           (unsigned long long)(n ? samples[n / 2] : 0), (unsigned long long)(n ? samples[n * 99 / 100] : 0), why);
    return 0;
}
