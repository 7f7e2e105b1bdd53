import type { InferenceSession, Tensor } from './runtime.ts';

/**
 * A session with the tensors that it left on its device. onnxruntime 1.30 frees each through the session that gave it, and
 * crashes, or does not, where that was released before: so the session is released after the last of them.
 */
export class LeftTensors {
  private readonly session: InferenceSession;
  private readonly tensors = new Set<Tensor>();
  private isToGo = false;

  constructor(session: InferenceSession) {
    this.session = session;
  }

  add(tensor: Tensor): void {
    if (tensor.location === 'cpu') return;
    const dispose = tensor.dispose.bind(tensor);
    this.tensors.add(tensor);
    tensor.dispose = () => {
      if (!this.tensors.delete(tensor)) return;
      try {
        dispose();
      } catch {
        // It went with its device.
      }
      // What is left of a session on a lost device may not even be let go of.
      if (this.isToGo && this.tensors.size === 0) this.session.release().catch(() => undefined);
    };
  }

  /** Releases the session, now or when the last tensor is disposed of. */
  async release(): Promise<void> {
    this.isToGo = true;
    if (this.tensors.size === 0) await this.session.release();
  }
}
