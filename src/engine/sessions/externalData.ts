import { open } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from '../../common/float16.ts';
import type { ExternalData, StoredType } from '../../onnx/graph.ts';

/** Whether onnxruntime can map the file, given by its real path: it must be on the drive that Loupe runs from. */
export function isMappable(realPath: string): boolean {
  return parse(realPath).root === parse(process.cwd()).root;
}

/** How the graph names a file of weights; the path must be real: onnxruntime follows no link out of its folder. */
export function externalLocation(realPath: string): string {
  if (!isMappable(realPath)) {
    throw new Failure('unsupported', `${realPath} is not on the drive that Loupe runs from.`, {
      action: 'Choose a cache folder on the same drive as Loupe.',
    });
  }
  return realPath.slice(parse(realPath).root.length).replaceAll('\\', '/');
}

/** The values that a graph reads from a file. */
export async function readExternal({
  location,
  offset,
  byteLength,
  type = 'float32',
}: ExternalData): Promise<Float32Array> {
  const file = await open(join(parse(process.cwd()).root, location));
  try {
    const bytes = new Uint8Array(byteLength);
    const { bytesRead } = await file.read(bytes, { position: offset });
    if (bytesRead === byteLength) return float32Of(bytes, type);
    throw new Failure(
      'bad-file',
      `/${location}: expected ${byteLength} bytes at ${offset}, found ${bytesRead}.`,
    );
  } finally {
    await file.close();
  }
}

function float32Of({ buffer }: Uint8Array<ArrayBuffer>, type: StoredType): Float32Array {
  if (type === 'float32') return new Float32Array(buffer);
  const decode = type === 'float16' ? float16ToFloat32 : bfloat16ToFloat32;
  return decode(new Uint16Array(buffer));
}
