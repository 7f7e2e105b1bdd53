/** How it is said by who gives memory: onnxruntime and its arenas, V8, C++, CUDA and its libraries, Vulkan, Dawn, Windows, TensorFlow. */
const said = [
  /\bout of (?:\w+ )?memory\b|outofmemory|\bOOM\b|not enough memory|memory ?allocation\b/i,
  /(?:failed|unable) to allocate|could not allocate|alloc(?:ation)? failed|\bbad alloc/i,
  /smaller than requested bytes|exceeds the max buffer size|resource ?exhausted/i,
];

/** Whether what was thrown or written says that there was too little memory, of the machine or of a device. */
export function isOutOfMemory(error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error);
  // As in VK_ERROR_OUT_OF_DEVICE_MEMORY.
  const words = message.replaceAll('_', ' ');
  return said.some(pattern => pattern.test(words));
}
