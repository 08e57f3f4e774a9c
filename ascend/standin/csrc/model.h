// Models are small containers whose results a test can compute; ../model.go has the layout.
#ifndef STANDIN_MODEL_H
#define STANDIN_MODEL_H
#include "acl.h"

enum { OP_IDENTITY, OP_LINEAR, OP_SOFTMAX, OP_ARGMAX, OP_THRESHOLD, OP_TABLE, OP_ZSCORE };
enum { AIPP_NONE, AIPP_STATIC, AIPP_STATIC_YUV, AIPP_DYNAMIC }; // preprocessing of an input
struct tensor { char name[64]; int32_t type, format; uint32_t ndims; int32_t aipp; int64_t dims[8], range[8][2]; float aipp_mean, aipp_scale; int64_t source; }; // source: largest picture of dynamic preprocessing, bytes
struct op { uint32_t kind, in, out, offset; }; // lengths a batch item; offset of the parameters in floats
struct header { char magic[4]; uint32_t version, size, crc, inputs, outputs, ops, gears, weights; uint32_t hw; uint64_t gear[16][2]; };
struct image { struct header h; struct tensor *t; struct op *op; const float *w; uint8_t *bytes; }; // t: inputs, then outputs
struct model { struct object o; uint32_t id; struct context *ctx; struct image *im; struct model *next; _Atomic int running; uint64_t batch, gh, gw; };
struct desc { struct object o; struct image *im; struct model *m; };
struct buffer { struct object o; void *p; size_t n; };
struct dataset { struct object o; size_t n; struct buffer *b[16]; uint64_t batch; struct aipp *aipp; };
struct run { uint64_t batch; size_t in, out; struct { void *p; size_t n; } b[32]; struct aipp *aipp; };
struct config { struct object o; int32_t priority; size_t type, size, work_size, weight_size; const char *path; void *model, *work, *weight; };
struct execconfig { struct object o; int32_t timeout; };

#define MBATCH "ascend_mbatch_shape_data"
#define AIPPDATA "ascend_dynamic_aipp_data"

// container.c
int32_t image_parse(const uint8_t *p, size_t n, struct image **out);
int32_t image_read(const char *path, uint8_t **p, size_t *n);
void image_free(struct image *im);
uint64_t image_batch(struct image *im); // the largest
int image_dynamic(struct image *im);    // the input whose preprocessing is set at run time, -1 if there is none
size_t image_inputs(struct image *im);  // with those behind the network's own
const char *image_extra(struct image *im, uintptr_t i); // their names: the batch, then the preprocessing
size_t image_extra_bytes(struct image *im, uintptr_t i);
size_t type_bytes(int32_t type);
size_t tensor_items(struct tensor *t); // elements of one batch item
size_t tensor_bytes(struct image *im, struct tensor *t, uint64_t batch);

// load.c
struct model *find_model(uint32_t id);

// describe.c
int32_t tensor_dims(struct tensor *t, aclmdlIODims *d, uint64_t batch);
#endif
