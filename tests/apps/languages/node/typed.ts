import { type Greeting, greet } from './greeting';

enum Tone { Friendly = 'friendly' }

export const handler = async (event: Greeting): Promise<string> => greet(event, Tone.Friendly);
