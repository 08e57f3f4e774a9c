// The device runtime's objects.
#ifndef STANDIN_ACL_H
#define STANDIN_ACL_H
#include "core.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { K_CONTEXT = 1, K_STREAM, K_EVENT, K_BUFFER, K_DATASET, K_DESC, K_EXECCONFIG, K_MODEL, K_DEVMEM, K_HOSTMEM, K_CONFIG, K_AIPP, K_CHANNELDESC, K_CHANNEL, K_PICTURE, K_ROI, K_RESIZE, K_COUNT };
#define OBJ(k) (0x5EED0000u | (k))
struct object { uint32_t magic; };

struct context { struct object o; int32_t device; int is_default; struct stream *def; };
struct event { struct object o; struct context *ctx; int pending, recorded; int64_t at; };
struct model;
struct dataset;

enum task_kind { T_COPY, T_SET, T_EXECUTE, T_RECORD, T_WAIT, T_CALL };
struct task {
	struct task *next;
	enum task_kind kind;
	uint8_t *dst; const uint8_t *src; size_t n; int value;
	struct event *event;
	struct model *model;
	struct run *run;
	int32_t (*call)(void *); // of T_CALL, with arg, which is freed afterwards
	void *arg;
	uint32_t id;
};
struct stream {
	struct object o;
	struct context *ctx;
	struct stream *next;
	pthread_t thread;
	pthread_mutex_t mu;
	pthread_cond_t cond, idle;
	struct task *head, *tail;
	int pending, closing;
	int32_t poison; // a task failed: the code for everything that follows
	uint32_t tasks, id;
	int64_t op_timeout_ms;
};

// What libacl_dvpp.so uses of libascendcl.so is exported under names that no vendor's library has.
#define current standin_current
#define fail standin_fail
#define make standin_make
#define drop standin_drop
#define is standin_is
#define need_context standin_need_context
#define need_stream standin_need_stream
#define push standin_push
#define gone standin_gone
#define locate standin_locate
#define locate_media standin_locate_media
#define device_alloc standin_device_alloc
#define device_free standin_device_free

extern INTERNAL __thread struct context *current;
extern _Atomic int live[K_COUNT];
extern pthread_mutex_t device_mu[MAX_DEVICES];

INTERNAL int32_t fail(int32_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
INTERNAL void *make(enum kind k, size_t n);
INTERNAL void drop(void *p, enum kind k);
INTERNAL int is(uintptr_t handle, enum kind k);
INTERNAL int32_t need_context(const char *symbol);
INTERNAL int32_t need_stream(const char *symbol, uintptr_t handle, struct stream **out); // 0: the default stream
struct stream *open_stream(struct context *c);
void close_stream(struct stream *s, int wait);
INTERNAL int32_t push(struct stream *s, struct task t);
int32_t wait_stream(struct stream *s, int32_t ms);
INTERNAL int gone(void); // the device is lost

enum place { PAGEABLE, PINNED, DEVICE, DEVICE_BAD };
INTERNAL enum place locate(const void *p, size_t n, uint8_t **real);
INTERNAL int locate_media(const void *p, size_t n, uint8_t **real); // whether it lies in memory of the media units
INTERNAL void *device_alloc(int32_t device, size_t n, int dvpp);
INTERNAL int32_t device_free(const char *name, void *p, int dvpp);
int32_t execute(struct model *m, struct run *r, int32_t device);
int32_t model_fault(struct stream *s, struct task *t, int32_t code);
void free_run(struct run *r);

// Dynamic preprocessing: what the setters gave, and a picture as the network then sees it.
#define MAX_AIPP 64
struct aipp {
	struct object o;
	uint64_t batch;
	int32_t format, w, h;
	int8_t csc, swap, ax;
	int16_t matrix[9];
	uint8_t out_bias[3], in_bias[3];
	struct { int8_t crop, scale, pad; int32_t cx, cy, cw, ch, sw, sh, top, bottom, left, right; int16_t mean[4]; float min[4], reci[4]; } item[MAX_AIPP];
};
size_t aipp_source(const struct aipp *a); // bytes of one picture, 0 if the format is not computed here
int aipp_size(const struct aipp *a, uint64_t i, uint32_t *w, uint32_t *h); // of picture i behind it; 0 if it is wrong
void aipp_picture(const struct aipp *a, uint64_t i, const uint8_t *p, float *out, int planar); // width by height by 3
#endif
