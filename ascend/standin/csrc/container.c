// The container of a model: reading it, and what its tensors need.
#include "model.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t crc32(const uint8_t *p, size_t n) {
	uint32_t c = 0xFFFFFFFFu;
	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xEDB88320u & -(c & 1));
	}
	return ~c;
}

int32_t image_parse(const uint8_t *p, size_t n, struct image **out) {
	struct header h;
	if (n < sizeof h) return fail(145006, "EE1001: the model has %zu bytes", n);
	memcpy(&h, p, sizeof h);
	if (memcmp(h.magic, "EDGM", 4) != 0) return fail(545001, "EE4001: this is not a model");
	if (h.version != 1) return fail(500002, "EE4001: the model needs version %u of the runtime", h.version);
	if (h.size != n) return fail(145006, "EE1001: the model says %u bytes, there are %zu", h.size, n);
	if (crc32(p + 16, n - 16) != h.crc) return fail(545001, "EE4001: checksum of the model is wrong");
	size_t at = sizeof h, tensors = (h.inputs + h.outputs) * sizeof(struct tensor);
	if (h.inputs > 8 || h.outputs > 8 || h.gears > 16 || at + tensors + h.ops * sizeof(struct op) + h.weights * 4ull != n) return fail(145006, "EE1001: parts of the model do not add up");
	struct image *im = calloc(1, sizeof *im);
	im->h = h;
	im->bytes = malloc(n);
	memcpy(im->bytes, p, n);
	im->t = (struct tensor *)(im->bytes + at);
	im->op = (struct op *)(im->bytes + at + tensors);
	im->w = (const float *)(im->bytes + at + tensors + h.ops * sizeof(struct op));
	*out = im;
	return 0;
}
void image_free(struct image *im) { if (im) free(im->bytes), free(im); }
int32_t image_read(const char *path, uint8_t **p, size_t *n) {
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) return fail(145002, "EE1001: %s cannot be opened", path);
	*n = (size_t)st.st_size;
	*p = malloc(*n + 1);
	ssize_t got = read(fd, *p, *n);
	close(fd);
	if (got != (ssize_t)*n) { free(*p); return fail(100014, "EE1001: %s was cut short", path); }
	return 0;
}
size_t type_bytes(int32_t type) {
	switch (type) { case ACL_FLOAT: case ACL_INT32: case ACL_UINT32: return 4; case ACL_FLOAT16: case ACL_INT16: case ACL_UINT16: return 2; case ACL_INT64: case ACL_UINT64: case ACL_DOUBLE: return 8; case ACL_INT8: case ACL_UINT8: case ACL_BOOL: return 1; }
	return 0;
}
uint64_t image_batch(struct image *im) { // the largest one, wherever it is listed
	uint64_t n = 0;
	for (uint32_t i = 0; i < im->h.gears && !im->h.hw; i++)
		if (im->h.gear[i][0] > n) n = im->h.gear[i][0];
	return n ? n : 1;
}
size_t tensor_items(struct tensor *t) { // elements of one batch item
	size_t n = 1;
	for (uint32_t i = 1; i < t->ndims; i++) n *= t->dims[i] > 0 ? (size_t)t->dims[i] : 0;
	return n;
}
size_t tensor_bytes(struct image *im, struct tensor *t, uint64_t batch) {
	(void)im;
	size_t n = t->dims[0] > 0 ? (size_t)t->dims[0] : batch;
	if (t->aipp == AIPP_DYNAMIC) return (size_t)t->source * n;
	if (t->aipp == AIPP_STATIC_YUV) return tensor_items(t) / 2 * n; // 12 bits a pixel for 3 channels
	return tensor_items(t) * n * type_bytes(t->type);
}
static int gears_input(struct image *im) { return im->h.gears > 0; }
// image_dynamic is the input whose preprocessing is set at run time, -1 if there is none.
int image_dynamic(struct image *im) {
	for (uint32_t i = 0; i < im->h.inputs; i++)
		if (im->t[i].aipp == AIPP_DYNAMIC) return (int)i;
	return -1;
}
size_t image_inputs(struct image *im) { return im->h.inputs + (size_t)gears_input(im) + (image_dynamic(im) >= 0); }
// image_extra names the inputs behind the network's own: the batch, then the preprocessing.
const char *image_extra(struct image *im, uintptr_t i) {
	if (i == im->h.inputs && gears_input(im)) return MBATCH;
	return i >= im->h.inputs && i + 1 == image_inputs(im) && image_dynamic(im) >= 0 ? AIPPDATA : 0;
}
size_t image_extra_bytes(struct image *im, uintptr_t i) { return strcmp(image_extra(im, i), MBATCH) == 0 ? 4 : 64 + 96 * image_batch(im); }
