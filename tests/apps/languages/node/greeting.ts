export interface Greeting {
  name: string;
}

export const greet = ({ name }: Greeting, tone: string): string => `Hello, ${name}, from ${tone} TypeScript`;
