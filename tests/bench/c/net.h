/* What both load programs need: a blocking connection to loopback, a clock, whole writes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Each from the next of eight addresses: a proxy may bound the connections of one. */
static int dial(int port) {
    static int count;
    uint32_t turn = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % 8;
    struct sockaddr_in from = {AF_INET, 0, {htonl(INADDR_LOOPBACK + 1 + turn)}, {0}};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in where = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    struct timeval patience = {30, 0};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (void *)&from, sizeof from)) { close(fd); return -1; }
    if (connect(fd, (void *)&where, sizeof where)) { close(fd); return -1; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static int send_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent;
        n -= sent;
    }
    return 0;
}

/* Reads until the head is whole. Returns where the body begins, 0 for failure; `*have` is what was read. */
static size_t read_head(int fd, char *in, size_t room, size_t *have) {
    for (*have = 0; *have < room - 1;) {
        ssize_t got = recv(fd, in + *have, room - 1 - *have, 0);
        if (got <= 0) return 0;
        in[*have += got] = 0;
        char *end = strstr(in, "\r\n\r\n");
        if (end) return end + 4 - in;
    }
    return 0;
}
