import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasVulkanLoader } from '../../scripts/vulkan.ts';
import { findChromium } from '../../scripts/chromium.ts';

/** Chromium's software GPU: Debian's place, Chrome's, and beside the program. */
function swiftShader(): string | undefined {
  const chromium = findChromium();
  const folders = ['/usr/lib/chromium', '/opt/google/chrome'].concat(
    chromium === undefined ? [] : dirname(chromium),
  );
  return folders.map(folder => join(folder, 'vk_swiftshader_icd.json')).find(existsSync);
}

/**
 * Has this process run WebGPU on SwiftShader from its first session on; elsewhere than on Linux, on what there is. Returns
 * why it cannot, if it cannot.
 */
export function useSoftwareGpu(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  if (process.arch !== 'x64') return 'onnxruntime-node has WebGPU on Linux for x64 only';
  const driver = swiftShader();
  if (driver === undefined) return 'no SwiftShader: Debian has it in the package chromium';
  if (!hasVulkanLoader()) return 'no Vulkan loader: Debian has it in the package libvulkan1';
  Object.assign(process.env, { VK_ICD_FILENAMES: driver, XDG_RUNTIME_DIR: '/tmp' });
  return undefined;
}
