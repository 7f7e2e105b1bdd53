/** The part of WebAssembly's JavaScript interface that training uses: TypeScript declares it only with the DOM. */
declare namespace WebAssembly {
  class Module {
    private readonly brand;
  }
  class Memory {
    constructor(descriptor: {
      readonly initial: number;
      readonly maximum: number;
      readonly shared: true;
    });
    readonly buffer: SharedArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: unknown;
  }
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
