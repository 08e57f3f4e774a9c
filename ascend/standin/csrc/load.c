// Loading and unloading of models.
#include "model.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct model *models;
static uint32_t ids = 1;

static int32_t load(const uint8_t *p, size_t n, uint32_t *id) {
	struct image *im;
	int32_t e = need_context("aclmdlLoad");
	if (e) return e;
	if (gone()) return fail(507899, "aclmdlLoad: EE9999: device lost");
	if ((e = image_parse(p, n, &im))) return e;
	pause_us(atomic_exchange(&shared->load_ms, 0) * 1000);
	if (atomic_load(&shared->mem_used[current->device]) + (int64_t)n > atomic_load(&shared->arena_bytes)) { image_free(im); return fail(245000, "aclmdlLoad: EL0004: no memory for the weights"); }
	struct model *m = make(K_MODEL, sizeof *m);
	m->ctx = current;
	m->im = im;
	m->batch = im->h.gears ? 0 : im->t[0].dims[0] > 0 ? (uint64_t)im->t[0].dims[0] : 1;
	pthread_mutex_lock(&mu);
	m->id = ids++;
	m->next = models, models = m;
	pthread_mutex_unlock(&mu);
	*id = m->id;
	return 0;
}
struct model *find_model(uint32_t id) {
	pthread_mutex_lock(&mu);
	struct model *m = models;
	while (m && m->id != id) m = m->next;
	pthread_mutex_unlock(&mu);
	return m;
}
static int32_t load_file(const char *path, uint32_t *id) {
	uint8_t *p;
	size_t n;
	int32_t e = image_read(path, &p, &n);
	if (e) return e;
	e = load(p, n, id);
	free(p);
	return e;
}
EXPORT int32_t aclmdlLoadFromFile(const char *path, uint32_t *id) { ENTER(aclmdlLoadFromFile); return load_file(path, id); }
EXPORT int32_t aclmdlLoadFromMem(void *p, size_t n, uint32_t *id) { ENTER(aclmdlLoadFromMem); return load(p, n, id); }
static int32_t sizes(const uint8_t *p, size_t n, size_t *work, size_t *weight) {
	struct image *im;
	int32_t e = image_parse(p, n, &im);
	if (e) return e;
	*work = 4096, *weight = im->h.weights * 4 + 64;
	image_free(im);
	return 0;
}
static int32_t own_memory(const uint8_t *p, size_t n, void *work, size_t wn, void *weight, size_t vn) {
	size_t a, b;
	uint8_t *real;
	int32_t e = sizes(p, n, &a, &b);
	if (e) return e;
	if (wn < a || vn < b || locate(work, a, &real) != DEVICE || locate(weight, b, &real) != DEVICE) return fail(145007, "EE1001: work or weight memory is too small or not of the device");
	return 0;
}
EXPORT int32_t aclmdlLoadFromFileWithMem(const char *path, uint32_t *id, void *work, size_t wn, void *weight, size_t vn) {
	ENTER(aclmdlLoadFromFileWithMem);
	uint8_t *p;
	size_t n;
	int32_t e = image_read(path, &p, &n);
	if (e) return e;
	if (!(e = own_memory(p, n, work, wn, weight, vn))) e = load(p, n, id);
	free(p);
	return e;
}
EXPORT int32_t aclmdlLoadFromMemWithMem(void *p, size_t n, uint32_t *id, void *work, size_t wn, void *weight, size_t vn) {
	ENTER(aclmdlLoadFromMemWithMem);
	int32_t e = own_memory(p, n, work, wn, weight, vn);
	return e ? e : load(p, n, id);
}
EXPORT int32_t aclmdlQuerySize(const char *path, size_t *work, size_t *weight) {
	ENTER(aclmdlQuerySize);
	uint8_t *p;
	size_t n;
	int32_t e = image_read(path, &p, &n);
	if (e) return e;
	e = sizes(p, n, work, weight);
	free(p);
	return e;
}
EXPORT int32_t aclmdlQuerySizeFromMem(void *p, size_t n, size_t *work, size_t *weight) { ENTER(aclmdlQuerySizeFromMem); return sizes(p, n, work, weight); }
void forget_models(void) { pthread_mutex_lock(&mu); models = 0; pthread_mutex_unlock(&mu); }
EXPORT int32_t aclmdlUnload(uint32_t id) {
	ENTER(aclmdlUnload);
	pthread_mutex_lock(&mu);
	struct model **p = &models;
	while (*p && (*p)->id != id) p = &(*p)->next;
	struct model *m = *p;
	if (m) *p = m->next;
	pthread_mutex_unlock(&mu);
	if (!m) return fail(145003, "aclmdlUnload: EE1001: no model %u", id);
	image_free(m->im);
	m->im = 0;
	drop(m, K_MODEL);
	return 0;
}

// Loading with a configuration.
EXPORT uintptr_t aclmdlCreateConfigHandle(void) { ENTER_PTR(aclmdlCreateConfigHandle); return (uintptr_t)make(K_CONFIG, sizeof(struct config)); }
#define LOADCONFIG(name) if (!is(h, K_CONFIG)) return fail(100000, #name ": EE1001: not a configuration"); struct config *c = (struct config *)h
EXPORT int32_t aclmdlDestroyConfigHandle(uintptr_t h) { ENTER(aclmdlDestroyConfigHandle); LOADCONFIG(aclmdlDestroyConfigHandle); free((void *)c->path); drop(c, K_CONFIG); return 0; }
EXPORT int32_t aclmdlSetConfigOpt(uintptr_t h, int32_t attr, void *value, size_t n) {
	ENTER(aclmdlSetConfigOpt);
	LOADCONFIG(aclmdlSetConfigOpt);
	if (n != (attr == ACL_MDL_PRIORITY_INT32 ? 4u : 8u)) return fail(100000, "aclmdlSetConfigOpt: EE1001: attribute %d of %zu bytes", attr, n);
	switch (attr) {
	case ACL_MDL_PRIORITY_INT32:
		if (*(int32_t *)value < 0 || *(int32_t *)value > 7) return fail(100000, "aclmdlSetConfigOpt: EE1001: priority %d", *(int32_t *)value);
		c->priority = *(int32_t *)value;
		return 0;
	case ACL_MDL_LOAD_TYPE_SIZET: c->type = *(size_t *)value; return 0;
	case ACL_MDL_PATH_PTR: free((void *)c->path), c->path = strdup(*(const char **)value); return 0; // copied, as the runtime does
	case ACL_MDL_MEM_ADDR_PTR: c->model = *(void **)value; return 0;
	case ACL_MDL_MEM_SIZET: c->size = *(size_t *)value; return 0;
	case ACL_MDL_WEIGHT_ADDR_PTR: c->weight = *(void **)value; return 0;
	case ACL_MDL_WEIGHT_SIZET: c->weight_size = *(size_t *)value; return 0;
	case ACL_MDL_WORKSPACE_ADDR_PTR: c->work = *(void **)value; return 0;
	case ACL_MDL_WORKSPACE_SIZET: c->work_size = *(size_t *)value; return 0;
	}
	return fail(100000, "aclmdlSetConfigOpt: EE1001: attribute %d", attr);
}
EXPORT int32_t aclmdlLoadWithConfig(uintptr_t h, uint32_t *id) {
	ENTER(aclmdlLoadWithConfig);
	LOADCONFIG(aclmdlLoadWithConfig);
	uint8_t *p = c->model;
	size_t n = c->size;
	int32_t e = 0;
	int file = c->type == 1 || c->type == 2;
	if (c->type < 1 || c->type > 4 || (file ? !c->path : !p || !n)) return fail(100000, "aclmdlLoadWithConfig: EE1001: load type %zu without what it needs", c->type);
	if (file && (e = image_read(c->path, &p, &n))) return e;
	if (c->type % 2 == 0) e = own_memory(p, n, c->work, c->work_size, c->weight, c->weight_size);
	if (!e) e = load(p, n, id);
	if (file) free(p);
	return e;
}
