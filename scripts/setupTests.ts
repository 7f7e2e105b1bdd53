// Gets what the browser, editor and WebGPU tests need and this machine lacks: Chromium and code-server.
import { ensureChromium } from './chromium.ts';
import { ensureCodeServer } from './codeServer.ts';
import { ensureVulkanLoader } from './vulkan.ts';

const chromium = await ensureChromium();
const { entry } = await ensureCodeServer();
const vulkan = (await ensureVulkanLoader()) ? 'there' : 'missing: the WebGPU tests are skipped';
console.log(`Chromium: ${chromium}\ncode-server: ${entry}\nVulkan loader: ${vulkan}`);
