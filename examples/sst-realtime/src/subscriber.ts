type Said = { from: string; text: string };

/** Hears everything that is said. */
export async function handler({ from, text }: Said): Promise<void> {
  console.log(`${from} says ${text}`);
}
