import { readFile } from 'node:fs/promises';

const self = await readFile(new URL(import.meta.url), 'utf8');

export const handler = async ({ name }) => `Hello, ${name}, from a module of ${self.split('\n').length} lines`;
