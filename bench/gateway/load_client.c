// Load client of chat completions; also speaks lockgate's own face (POST /v1/streams, then GET the stream as SSE).
//   gcc -O2 -o load_client load_client.c && ./load_client PORT PATH CONCURRENCY TOTAL CHUNKS RATE MODEL [extra header line]...
// env: MODE=openai|lockgate  EXTRA='"response_format":{...},' RAMP=s READERS=k (readers per stream, lockgate only)
//      DUMP=file (int64 arrival ns, int64 stamp ns, int32 conn)   PAD=bytes per chunk (goes out as "top_k")  EXTRAFILE=file with EXTRA
//      IDLE=s give up after s silent  (default 20)   VIEW=query string of the GET
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#define MAXFD 65536
typedef struct { int dig, inmark, cut, am, dm, ok, first; int64_t val, t0, prevage, tpost; long chunks; long bytes; int ph, hm, chunked; long size; char head[160]; int hl;
  int posting, isreader, pl, no; char *pbuf; } S;
static S *T[MAXFD];
static int ep, port, nopen; static char *req; static int reqlen; static int lock, readers = 1; static const char *view = "";
static int64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static uint32_t *lat; static long nlat, cap; static uint32_t *gap; static long ngap;
static uint32_t ttft[1 << 20]; static long nttft; static uint32_t create_us[1 << 20]; static long ncreate;
static long bad, done, wire; static char badhead[160]; static int serial;
static FILE *dump;
static int cmp(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return x < y ? -1 : x > y; }
static int conn(void) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(fd, (void *)&a, sizeof a)) { perror("connect"); close(fd); return -1; }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  S *s = calloc(1, sizeof(S)); T[fd] = s; s->t0 = now_ns(); s->first = 1; s->no = serial++; s->prevage = -1;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
  nopen++;
  return fd;
}
static void sendall(int fd, const char *p, long n) {
  while (n > 0) { ssize_t w = send(fd, p, n, MSG_NOSIGNAL); if (w < 0) { if (errno == EAGAIN) { usleep(100); continue; } perror("send"); return; } p += w; n -= w; }
}
static int start(void) {
  int fd = conn(); if (fd < 0) return -1;
  T[fd]->posting = lock;
  sendall(fd, req, reqlen);
  return fd;
}
static void get(int fd, const char *id) {
  char g[512]; int n = snprintf(g, sizeof g, "GET /v1/stream/%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", id, view);
  sendall(fd, g, n);
}
// 1: POST answered and GET sent; 0: more to come; -1: bad
static int posted(int fd, S *s, const char *b, long n) {
  if (!s->pbuf) s->pbuf = malloc(65536);
  if (s->pl + n > 65000) return -1;
  memcpy(s->pbuf + s->pl, b, n); s->pl += n; s->pbuf[s->pl] = 0;
  char *h = strstr(s->pbuf, "\r\n\r\n"); if (!h) return 0;
  char *c = strcasestr(s->pbuf, "content-length:"); long cl = c ? atol(c + 15) : 0;
  if (s->pl < h + 4 - s->pbuf + cl) return 0;
  if (strncmp(s->pbuf, "HTTP/1.1 201", 12)) return -1;
  char *q = strstr(h, "\"id\":\""); if (!q) return -1;
  char id[128]; int k = 0; for (q += 6; *q && *q != '"' && k < 120; q++) id[k++] = *q; id[k] = 0;
  free(s->pbuf); s->pbuf = NULL; s->posting = 0; s->pl = 0; s->hl = 0;
  if (ncreate < (1 << 20)) create_us[ncreate++] = (now_ns() - s->t0) / 1000;
  get(fd, id);
  for (int i = 1; i < readers; i++) { int f = conn(); if (f < 0) return -1; T[f]->isreader = 1; T[f]->t0 = s->t0; get(f, id); }
  return 1;
}
static const char *DM = "[DONE]";
int main(int argc, char **argv) {
  if (argc < 8) { fprintf(stderr, "PORT PATH CONC TOTAL CHUNKS RATE MODEL [headers]\n"); return 2; }
  signal(SIGPIPE, SIG_IGN);
  lock = getenv("MODE") && !strcmp(getenv("MODE"), "lockgate");
  if (lock) DM = "streamClosed\":true,\"state\":\"complete\"";
  int dml = strlen(DM);
  if (getenv("READERS")) readers = atoi(getenv("READERS"));
  if (getenv("VIEW")) view = getenv("VIEW");
  const char *extra = getenv("EXTRA") ? getenv("EXTRA") : "";
  if (getenv("EXTRAFILE")) { FILE *f = fopen(getenv("EXTRAFILE"), "rb"); fseek(f, 0, SEEK_END); long n = ftell(f); rewind(f); char *e = malloc(n + 1); e[fread(e, 1, n, f)] = 0; fclose(f); extra = e; }
  long pad = getenv("PAD") ? atol(getenv("PAD")) : 0; long every = getenv("EVERY") ? atol(getenv("EVERY")) : 1; char evs[64] = ""; if (every > 1) snprintf(evs, sizeof evs, "\"logprobs\":true,\"top_logprobs\":%ld,", every);
  int64_t idle_ns = (getenv("IDLE") ? atol(getenv("IDLE")) : 20) * 1000000000LL;
  if (getenv("DUMP")) dump = fopen(getenv("DUMP"), "wb");
  port = atoi(argv[1]); int conc = atoi(argv[3]); long total = atol(argv[4]), chunks = atol(argv[5]), rate = atol(argv[6]);
  long bcap = strlen(extra) + 2048; char *body = malloc(bcap);
  int bl = snprintf(body, bcap, "{\"model\":\"%s\",\"stream\":true,\"max_tokens\":%ld,\"seed\":%ld,%s%s\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", argv[7], chunks, rate,
    evs, extra);
  if (pad) bl = snprintf(body, bcap, "{\"model\":\"%s\",\"stream\":true,\"max_tokens\":%ld,\"seed\":%ld,\"top_k\":%ld,%s\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", argv[7], chunks, rate, pad, extra);
  long rcap = bcap + 4096; req = malloc(rcap);
  reqlen = snprintf(req, rcap, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%sAuthorization: Bearer sk-test-0123456789abcdef0123456789abcdef\r\n", argv[2], lock ? "" : "Accept: text/event-stream\r\n");
  for (int i = 8; i < argc; i++) reqlen += snprintf(req + reqlen, rcap - reqlen, "%s\r\n", argv[i]);
  reqlen += snprintf(req + reqlen, rcap - reqlen, "Content-Length: %d\r\n\r\n%s", bl, body);
  cap = total * chunks * readers + 16; lat = malloc(cap * sizeof *lat); gap = malloc(cap * sizeof *gap);
  ep = epoll_create1(0);
  double ramp = getenv("RAMP") ? atof(getenv("RAMP")) : 0;
  long started = 0; int64_t t0 = now_ns(), tfirst = 0, tlast = 0, idle = now_ns(), tkeep = ramp > 0 ? t0 + (ramp + 0.5) * 1e9 : 0;
  long count = 0; int nowdone = 0;
  if (ramp <= 0) while (started < conc && started < total) { if (start() < 0) return 1; started++; }
  struct epoll_event ev[512]; static char buf[1 << 18];
  while (nopen > 0 || started < conc) {
    while (started < conc && now_ns() >= t0 + (int64_t)(ramp * 1e9 * started / conc)) { if (start() < 0) return 1; started++; }
    int n = epoll_wait(ep, ev, 512, started < conc ? 1 : 1000);
    if (n == 0 && now_ns() - idle > idle_ns) { fprintf(stderr, "no data for long\n"); bad += nopen; done += nopen; for (int f = 0; f < MAXFD; f++) if (T[f]) memcpy(badhead, T[f]->head, 150); break; }
    for (int i = 0; i < n; i++) {
      int fd = ev[i].data.fd; S *s = T[fd];
      ssize_t r = recv(fd, buf, sizeof buf, 0);
      int64_t now = now_ns(); idle = now;
      int end = 0;
      if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; end = 1; }
      if (r > 0) wire += r;
      if (s->posting && r > 0) { int p = posted(fd, s, buf, r); if (p >= 0) continue; end = 1; memcpy(s->head, s->pbuf ? s->pbuf : "?", 150); r = 0; }
      if (r > 0 && s->hl < 150) { int k = r < 150 - s->hl ? r : 150 - s->hl; memcpy(s->head + s->hl, buf, k); s->hl += k; }
      for (ssize_t j = 0; j < r; j++) {
        char c = buf[j];
        if (s->ph < 4) {
          if (s->ph == 2) { if (--s->size == 0) s->ph = 3; }
          else if (s->ph == 0) {
            static const char *te = "transfer-encoding: chunked";
            char l = c >= 'A' && c <= 'Z' ? c + 32 : c;
            if (!s->chunked) { if (l == te[s->dm]) { if (!te[++s->dm]) s->chunked = 1; } else s->dm = l == 't'; }
            s->hm = c == "\r\n\r\n"[s->hm] ? s->hm + 1 : c == '\r';
            if (s->hm == 4) { s->ph = s->chunked ? 1 : 4; s->dm = 0; s->size = 0; }
            continue;
          } else if (s->ph == 1) {
            if (c == '\n') { if (s->size) s->ph = 2; else { end = 1; break; } }
            else if (c != '\r') s->size = s->size * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
            continue;
          } else { if (c == '\n') { s->ph = 1; s->size = 0; } continue; }
        }
        if (s->inmark) {
          if (c >= '0' && c <= '9') { s->val = s->val * 10 + (c - '0'); s->dig++; continue; }
          if (c == '@' && s->dig == 19) {
            if (!tfirst) tfirst = now;
            tlast = now;
            int64_t age = now - s->val;
            int64_t d = age / 100;  // units of 0.1 us
            if (d < 0) d = 0;
            if (d > UINT32_MAX) d = UINT32_MAX;
            count++;
            if (dump) { struct { int64_t a, b; int32_t c, d; } x = {now, s->val, s->no, 0}; fwrite(&x, sizeof x, 1, dump); }
            if (nlat < cap && now >= tkeep && (!nowdone || ramp <= 0)) {
              lat[nlat++] = d;
              if (s->prevage >= 0) { int64_t g = (age - s->prevage) / 100; gap[ngap++] = g < 0 ? 0 : g; }
            }
            s->prevage = age;
            if (s->first) { s->first = 0; if (nttft < (1 << 20)) ttft[nttft++] = (now - s->t0) / 1000; }
            s->chunks++; s->inmark = 0; continue;
          }
          s->inmark = 0;
          if (lock && c == '"') { s->cut = 1; s->am = 0; continue; }  // the text goes on in the next string, or the next envelope
        } else if (s->cut) {
          static const char *again = "\"data\":[\"";
          if (s->cut == 1) { s->cut = c == ',' ? 2 : 3; continue; }
          if (s->cut == 2) { if (c == '"') { s->cut = 0; s->inmark = 1; continue; } s->cut = 3; }
          if (c == again[s->am]) { if (!again[++s->am]) { s->cut = 0; s->inmark = 1; continue; } }
          else s->am = c == '"';
        }
        if (c == '@' && !s->cut) { s->inmark = 1; s->dig = 0; s->val = 0; continue; }
        if (c == DM[s->dm]) { if (++s->dm == dml) { s->ok = 1; s->dm = 0; if (!lock) { end = 1; break; } } }
        else s->dm = c == DM[0];
      }
      if (end) {
        if (!s->ok || s->chunks != chunks / every) { bad++; memcpy(badhead, s->head, 150); if (getenv("VERB")) fprintf(stderr, "bad: ok %d chunks %ld of %ld\n", s->ok, s->chunks, chunks); }
        done++; nowdone = 1; close(fd); int isr = s->isreader; free(s); T[fd] = NULL; nopen--;
        if (!isr && started < total && start() >= 0) started++;
      }
    }
  }
  qsort(lat, nlat, sizeof *lat, cmp); qsort(gap, ngap, sizeof *gap, cmp); qsort(ttft, nttft, sizeof *ttft, cmp); qsort(create_us, ncreate, sizeof *create_us, cmp);
  double secs = (tlast - t0) / 1e9;
#define Q(a, n, q) (n ? a[(long)((n - 1) * q)] : 0)
  for (char *p = badhead; *p; p++) if (*p == '"' || *p == '\\' || *p < ' ') *p = ' ';
  printf("{\"streams\":%ld,\"bad\":%ld,\"chunks\":%ld,\"expected\":%ld,\"secs\":%.3f,\"chunks_per_s\":%.0f,\"wire_mb\":%.2f,\"lat_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},\"gap_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},\"ttft_us\":{\"p50\":%u,\"p99\":%u,\"max\":%u},\"create_us\":{\"p50\":%u,\"p99\":%u,\"max\":%u},\"bad_head\":\"%s\"}\n",
    done, bad, count * every, total * chunks * readers, secs, count * every / secs, wire / 1e6, Q(lat, nlat, 0.5) / 10.0, Q(lat, nlat, 0.9) / 10.0, Q(lat, nlat, 0.99) / 10.0, Q(lat, nlat, 0.999) / 10.0, Q(lat, nlat, 1.0) / 10.0,
    Q(gap, ngap, 0.5) / 10.0, Q(gap, ngap, 0.9) / 10.0, Q(gap, ngap, 0.99) / 10.0, Q(gap, ngap, 0.999) / 10.0, Q(gap, ngap, 1.0) / 10.0,
    Q(ttft, nttft, 0.5), Q(ttft, nttft, 0.99), Q(ttft, nttft, 1.0), Q(create_us, ncreate, 0.5), Q(create_us, ncreate, 0.99), Q(create_us, ncreate, 1.0), badhead);
  if (dump) fclose(dump);
  return 0;
}
