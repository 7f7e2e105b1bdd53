import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJob, type TrainingJob } from './trainingJob.ts';

/** Keeps each training in a file `<id>.json` of one folder; a reader finds the old content or the whole new one. */
export class TrainingStore {
  private readonly folder: string;
  private readonly log: (message: string) => void;
  /** The newest content of each file that is not written yet; undefined: the file is to go. */
  private readonly waiting = new Map<string, TrainingJob | undefined>();
  private writing: Promise<void> | undefined;

  constructor(folder: string, log: (message: string) => void) {
    this.folder = folder;
    this.log = log;
  }

  /** Every readable job, oldest first. */
  async read(): Promise<TrainingJob[]> {
    const names = await readdir(this.folder).catch(() => []);
    const jobs: TrainingJob[] = [];
    for (const name of names.filter(file => /^[\w-]+\.json$/.test(file))) {
      const job = parseJob(await readFile(join(this.folder, name), 'utf8').catch(() => ''));
      if (job && `${job.id}.json` === name) jobs.push(job);
      else this.log(`${join(this.folder, name)} is not a training: it is left alone.`);
    }
    return jobs.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  }

  save(job: TrainingJob): Promise<void> {
    return this.write(job.id, job);
  }

  remove(id: string): Promise<void> {
    return this.write(id, undefined);
  }

  /** Resolves when everything is on the disk that was saved until now. */
  async flushed(): Promise<void> {
    await this.writing;
  }

  private write(id: string, job: TrainingJob | undefined): Promise<void> {
    this.waiting.set(id, job);
    return (this.writing ??= this.drain());
  }

  private async drain(): Promise<void> {
    for (let next = this.take(); next; next = this.take()) {
      const [id, job] = next;
      const path = join(this.folder, `${id}.json`);
      try {
        if (!job) await rm(path, { force: true });
        else {
          await mkdir(this.folder, { recursive: true });
          await writeFile(`${path}.tmp`, JSON.stringify(job));
          await rename(`${path}.tmp`, path);
        }
      } catch (error) {
        // The training itself goes on: only its place in the list is at stake.
        this.log(`${path} could not be written: ${String(error)}`);
      }
    }
    this.writing = undefined;
  }

  private take(): [string, TrainingJob | undefined] | undefined {
    for (const entry of this.waiting) {
      this.waiting.delete(entry[0]);
      return entry;
    }
    return undefined;
  }
}
