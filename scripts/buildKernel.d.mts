/** The kernel's bytes; throws with the compiler's messages. */
export function compileKernel(): Promise<Uint8Array>;

/** Writes dist/kernel.wasm. */
export function buildKernel(file?: string): Promise<void>;
