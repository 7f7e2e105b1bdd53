import { Failure } from '../../common/failure.ts';

const pageBytes = 65_536;
/** What a 32-bit WebAssembly memory can hold, less its first page. */
const largestMemory = 2 ** 32 - 2 * pageBytes;

/** Plans where arrays lie in one shared WebAssembly memory, then makes it. */
export class KernelMemory {
  private planned = pageBytes;
  private created: WebAssembly.Memory | undefined;

  /** Reserves room, aligned to a cache line; the address is good once the memory is made. */
  reserve(bytes: number): number {
    const address = Math.ceil(this.planned / 64) * 64;
    this.planned = address + bytes;
    return address;
  }

  /** Bytes that everything reserved so far takes. */
  get byteLength(): number {
    return this.planned;
  }

  create(): WebAssembly.Memory {
    if (this.planned > largestMemory) {
      throw new Failure(
        'too-large',
        `Training this SAE takes ${(this.planned / 1e9).toFixed(1)} GB of kernel memory; at most 4.2 GB can be used.`,
        { action: 'Choose a smaller width, or a smaller batch.' },
      );
    }
    const pages = Math.ceil(this.planned / pageBytes) + 1;
    try {
      this.created = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (cause) {
      throw new Failure(
        'out-of-memory',
        `There is no room for the ${(this.planned / 1e9).toFixed(1)} GB that training this SAE takes.`,
        { action: 'Close other programs, or choose a smaller width or batch.', cause },
      );
    }
    return this.created;
  }

  private get buffer(): SharedArrayBuffer {
    if (!this.created) throw new Failure('internal', 'The kernel memory has not been made yet.');
    return this.created.buffer;
  }

  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.buffer, address, count);
  }

  doubles(address: number, count: number): Float64Array {
    return new Float64Array(this.buffer, address, count);
  }

  words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.buffer, address, count);
  }

  longs(address: number, count: number): BigInt64Array {
    return new BigInt64Array(this.buffer, address, count);
  }
}
