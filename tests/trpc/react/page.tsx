// A page that watches a name and shows what is published for it, as any page with tRPC does.

import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createWSClient, wsLink } from '@trpc/client';
import { createTRPCReact } from '@trpc/react-query';
import type { AppRouter } from './router';

const api = createTRPCReact<AppRouter>();
const url = new URLSearchParams(location.search).get('url') ?? '';

function Watched({ name }: { name: string }) {
  const [heard, setHeard] = useState<string[]>([]);
  const { status } = api.mySubscription.useSubscription({ name }, {
    onData: (text) => setHeard((before) => [...before, text]),
  });
  const greet = api.greet.useMutation();
  return (
    <main data-status={status}>
      <button onClick={() => greet.mutate({ name, text: 'hi' })}>greet</button>
      <ul>{heard.map((text, at) => <li key={at}>{text}</li>)}</ul>
    </main>
  );
}

function App() {
  const [queries] = useState(() => new QueryClient());
  const [client] = useState(() => api.createClient({
    links: [wsLink({ client: createWSClient({ url, connectionParams: { userId: 'ada' } }) })],
  }));
  return (
    <api.Provider client={client} queryClient={queries}>
      <QueryClientProvider client={queries}><Watched name="name1" /></QueryClientProvider>
    </api.Provider>
  );
}

const root = document.getElementById('root');
if (root) createRoot(root).render(<App />);
