/** Something that holds a resource until told to let go. */
export interface Disposable {
  dispose(): void;
}

/** Owns what it registers: disposing it disposes them, last first; registering afterwards disposes at once. */
export class DisposableStore implements Disposable {
  private readonly owned: Disposable[] = [];
  private disposed = false;

  register<T extends Disposable>(resource: T): T {
    if (this.disposed) resource.dispose();
    else this.owned.push(resource);
    return resource;
  }

  dispose(): void {
    this.disposed = true;
    for (let resource = this.owned.pop(); resource; resource = this.owned.pop()) resource.dispose();
  }
}

/** Holds at most one disposable: setting a new one disposes the old. */
export class DisposableValue<T extends Disposable> implements Disposable {
  private current: T | undefined;

  get value(): T | undefined {
    return this.current;
  }

  set value(next: T | undefined) {
    if (next !== this.current) this.current?.dispose();
    this.current = next;
  }

  dispose(): void {
    this.value = undefined;
  }
}
