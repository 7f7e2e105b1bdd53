import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOutOfMemory } from '../../src/common/outOfMemory.ts';

describe('too little memory', () => {
  for (const message of [
    // onnxruntime 1.30, CPU and CUDA
    "Non-zero status code returned while running MatMul node. Name:'a' Status Message: bfc_arena.cc:376 onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 5368709120",
    'Available memory of 1048576 is smaller than requested bytes of 5368709120',
    'std::bad_alloc',
    'bad allocation',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; file=cuda_allocator.cc ; line=50 ; expr=cudaMalloc((void**)&p, size);',
    'cudaErrorMemoryAllocation: out of memory',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0',
    'CUDNN failure 4000: CUDNN_STATUS_ALLOC_FAILED',
    // Dawn and its drivers
    'WebGPU device error(2): Out of memory',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY\n    at CheckVkOOMThenSuccessImpl',
    'VK_ERROR_OUT_OF_HOST_MEMORY',
    'Buffer size (3185049600) exceeds the max buffer size limit (1073741824).\n - While calling [Device].CreateBuffer([BufferDescriptor]).',
    'D3D12 create heap failed with E_OUTOFMEMORY (0x8007000E)',
    '8007000E Not enough memory resources are available to complete this operation.',
    // V8 and TensorFlow
    'Array buffer allocation failed',
    'OOM when allocating tensor with shape[32,3,16] and type float on GPU_0_bfc',
    'RESOURCE_EXHAUSTED: failed to allocate memory',
  ]) {
    it(`is what is told by: ${message.slice(0, 90)}`, () => {
      assert.equal(isOutOfMemory(new Error(message)), true);
      assert.equal(isOutOfMemory(message), true);
    });
  }

  for (const message of [
    'webgpu: Device is lost.',
    'Failed to find allocator for device [WebGPU_Buf]',
    'Non-zero status code returned while running Gather node: the output was not allocated',
    'Load model from /home/calloc/model.onnx failed: Protobuf parsing failed.',
    'CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED',
    'There is no room left on the disk',
    'ROOM 12 is not a feature',
  ]) {
    it(`is not what is told by: ${message}`, () => {
      assert.equal(isOutOfMemory(new Error(message)), false);
    });
  }
});
