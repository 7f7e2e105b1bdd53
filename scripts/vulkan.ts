import type { SpawnOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findProgram, run } from './commands.ts';

const loaders = ['x86_64-linux-gnu', 'aarch64-linux-gnu', '']
  .map(folder => `/usr/lib/${folder}/libvulkan.so.1`)
  .concat('/usr/lib64/libvulkan.so.1');

/** Whether there is a Vulkan loader, without which no SwiftShader is found. */
export function hasVulkanLoader(): boolean {
  return loaders.some(existsSync);
}

/** On Debian, where this may install packages: gets the Vulkan loader, for the tests of WebGPU without a GPU. */
export async function ensureVulkanLoader(): Promise<boolean> {
  const apt = findProgram(['apt-get']);
  if (hasVulkanLoader() || apt === undefined || process.getuid?.() !== 0) return hasVulkanLoader();
  console.log('Getting libvulkan1 by apt-get.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options: SpawnOptions = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  await run(apt, ['update'], options);
  await run(apt, ['install', '--yes', '--no-install-recommends', 'libvulkan1'], options);
  return hasVulkanLoader();
}
