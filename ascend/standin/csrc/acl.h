// The device runtime's objects.
#ifndef STANDIN_ACL_H
#define STANDIN_ACL_H
#include "core.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { K_CONTEXT = 1, K_STREAM, K_EVENT, K_BUFFER, K_DATASET, K_DESC, K_EXECCONFIG, K_MODEL, K_DEVMEM, K_HOSTMEM, K_COUNT };
#define OBJ(k) (0x5EED0000u | (k))
struct object { uint32_t magic; };

struct context { struct object o; int32_t device; int is_default; struct stream *def; };
struct event { struct object o; struct context *ctx; int pending, recorded; int64_t at; };
struct model;
struct dataset;

enum task_kind { T_COPY, T_SET, T_EXECUTE, T_RECORD, T_WAIT };
struct task {
	struct task *next;
	enum task_kind kind;
	uint8_t *dst; const uint8_t *src; size_t n; int value;
	struct event *event;
	struct model *model;
	struct run *run;
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

extern __thread struct context *current;
extern _Atomic int live[K_COUNT];
extern pthread_mutex_t device_mu[MAX_DEVICES];

int32_t fail(int32_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *make(enum kind k, size_t n);
void drop(void *p, enum kind k);
int is(uintptr_t handle, enum kind k);
int32_t need_context(const char *symbol);
int32_t need_stream(const char *symbol, uintptr_t handle, struct stream **out); // 0: the default stream
struct stream *open_stream(struct context *c);
void close_stream(struct stream *s, int wait);
int32_t push(struct stream *s, struct task t);
int32_t wait_stream(struct stream *s, int32_t ms);
int gone(void); // the device is lost

enum place { PAGEABLE, PINNED, DEVICE, DEVICE_BAD };
enum place locate(const void *p, size_t n, uint8_t **real);
void *device_alloc(int32_t device, size_t n, int dvpp);
int32_t execute(struct model *m, struct run *r, int32_t device);
int32_t model_fault(struct stream *s, struct task *t, int32_t code);
void free_run(struct run *r);
#endif
