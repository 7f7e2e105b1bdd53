// Gets what the browser and editor tests need and this machine lacks: Chromium and code-server.
import { ensureChromium } from './chromium.ts';
import { ensureCodeServer } from './codeServer.ts';

const chromium = await ensureChromium();
const { entry } = await ensureCodeServer();
console.log(`Chromium: ${chromium}\ncode-server: ${entry}`);
