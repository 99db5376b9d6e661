import './mantine.css';
import '../ui/base.css';
import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';

const place = document.getElementById('root');
if (place) createRoot(place).render(<App />);
