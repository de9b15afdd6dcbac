const greeting = await Promise.resolve('Hello');

export async function handler({ name }) {
  return `${greeting}, ${name}, after a top-level await`;
}
