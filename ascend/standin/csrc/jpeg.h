// A decoder of baseline JPEG, for the media unit of the stand-in.
#ifndef STANDIN_JPEG_H
#define STANDIN_JPEG_H
#include <stddef.h>
#include <stdint.h>

enum { JPEG_OK, JPEG_BROKEN, JPEG_UNSUPPORTED };
struct jpeg {
	uint32_t width, height;
	int32_t components, sampling; // as in acldvppJpegFormat
	struct { uint32_t stride, rows; uint8_t *p; uint32_t h, v; } plane[3];
};
// jpeg_info reads the header only; jpeg_decode allocates the planes, which jpeg_free gives back.
int jpeg_info(const uint8_t *p, size_t n, struct jpeg *out);
int jpeg_decode(const uint8_t *p, size_t n, struct jpeg *out);
void jpeg_free(struct jpeg *j);
#endif
